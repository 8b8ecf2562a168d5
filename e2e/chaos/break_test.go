//go:build unix

package chaos

import (
	"context"
	"slices"
	"syscall"
	"time"

	"bellhop"
)

// longSilence is what a silent process's rows are aged by, so that it is taken for dead.
const longSilence = 2 * time.Minute

// do breaks one thing, waits as long as it lasts, and takes it back.
func (s *site) do(b breakage) {
	s.tally.count(b.what)
	n := s.nodes[b.node]
	switch b.what {
	case "kill", "term":
		s.restart(n, b)
	case "stop", "long stop":
		s.stop(n, b)
	case "clock forward", "clock back":
		n.mu.Lock()
		if err := n.move(n.offset + b.jump); err != nil {
			s.errf("clock: %v", err)
		}
		n.mu.Unlock()
	case "vendor slow net":
		s.ways[b.vendor].slow(b.lasts / 6)
		pause(b.lasts)
		s.ways[b.vendor].slow(0)
	case "vendor cut":
		s.ways[b.vendor].refuse(b.hard)
		s.ways[b.vendor].cut()
		pause(b.lasts)
		s.ways[b.vendor].refuse(false)
	case "db restart":
		s.restartDatabase(b.hard)
	case "db slow net":
		s.dbWay.slow(b.lasts / 60)
		pause(b.lasts)
		s.dbWay.slow(0)
	case "db cut":
		s.dbWay.cut()
	case "db away":
		s.dbWay.refuse(true)
		s.dbWay.cut()
		pause(b.lasts)
		s.dbWay.refuse(false)
	default:
		s.box.SetFaults(b.vendor, b.fault)
		pause(b.lasts)
		s.box.ClearFaults(b.vendor)
	}
}

// restartDatabase stops the database server, in order or as a crash would, and starts it.
func (s *site) restartDatabase(crash bool) {
	s.lab.mu.Lock() // a plan may want two at the same time
	defer s.lab.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.lab.cluster.Restart(ctx, crash); err != nil {
		s.errf("database restart: %v", err)
	}
}

// restart ends a server, hard or in order, and starts it again a little later.
func (s *site) restart(n *node, b breakage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	how := syscall.SIGKILL
	if b.what == "term" {
		how = syscall.SIGTERM
		s.cutHanging()
	}
	pid := n.end(how)
	pause(b.lasts / 4)
	if b.hard {
		s.age(pid, longSilence)
	}
	if err := n.startLocked(); err != nil {
		s.errf("start: %v", err)
	}
}

// cutHanging ends the calls that a fault keeps without an answer: an orderly stop would
// wait for them as long as their time boxes are.
func (s *site) cutHanging() {
	for _, w := range s.ways {
		w.cut()
	}
}

// stop stops a process. A long stop lasts, by what the others and its own clock see, so
// long that it is taken for dead: another server that starts in that time takes over.
func (s *site) stop(n *node, b breakage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.signal(syscall.SIGSTOP) {
		return
	}
	defer n.signal(syscall.SIGCONT)
	if b.what == "stop" {
		pause(b.lasts)
		return
	}
	s.age(n.cmd.Process.Pid, b.jump)
	if err := n.move(n.offset + b.jump); err != nil {
		s.errf("clock: %v", err)
	}
	for i, other := range s.nodes {
		if i != b.node && other.mu.TryLock() {
			pid := other.end(syscall.SIGKILL)
			s.age(pid, longSilence)
			if err := other.startLocked(); err != nil {
				s.errf("start: %v", err)
			}
			other.mu.Unlock()
		}
	}
	pause(b.lasts)
}

// lift takes everything back that can be broken, and puts every clock right.
func (s *site) lift() {
	s.box.ClearFaults("")
	for _, w := range s.ways {
		w.slow(0)
		w.refuse(false)
	}
	s.cutHanging()
	if s.dbWay != nil {
		s.dbWay.slow(0)
		s.dbWay.refuse(false)
	}
	for _, n := range s.nodes {
		n.mu.Lock()
		if n.cmd != nil && !processLives(n.cmd.Process.Pid) {
			s.errf("a server ended by itself")
			n.cmd = nil
		}
		if err := n.move(0); err != nil {
			s.errf("clock: %v", err)
		}
		if err := n.startLocked(); err != nil {
			s.errf("start: %v", err)
		}
		n.mu.Unlock()
	}
}

// bounce restarts every server, in order or not.
func (s *site) bounce() {
	how := "kill"
	if s.p.gentle {
		how = "term"
	}
	for _, n := range s.nodes {
		s.restart(n, breakage{what: how, hard: true})
	}
}

// press does what operators do, by position in the list of the steps that are not
// finished, or of all when they are.
func (s *site) press(p press) {
	code, out, err := s.call(p.node, "GET", "/v1/ops/steps?limit=40", operatorKey, nil, nil)
	if err != nil || code != 200 {
		return
	}
	list, _ := out["steps"].([]any)
	if open := slices.DeleteFunc(slices.Clone(list), func(x any) bool {
		return bellhop.StepState(x.(map[string]any)["state"].(string)).Final()
	}); len(open) > 0 {
		list = open
	}
	if len(list) == 0 {
		return
	}
	var ids []string
	for _, i := range p.pick {
		if x, ok := list[i%len(list)].(map[string]any); ok {
			ids = append(ids, x["id"].(string))
		}
	}
	s.o.note(func() {
		for _, id := range ids {
			if p.action == "retry" {
				s.o.retried[id] = true
			} else {
				s.o.touched[id] = true
			}
		}
	})
	s.tally.count("operator: " + p.action)
	if p.bulk {
		s.pressBulk(p, ids)
		return
	}
	code, _, err = s.call(p.node, "POST", "/v1/ops/steps/"+ids[0]+"/"+p.action, operatorKey, nil, nil)
	s.pressed(p, ids[0], err == nil && code == 200)
}

func (s *site) pressBulk(p press, ids []string) {
	_, out, err := s.call(p.node, "POST", "/v1/ops/steps/bulk", operatorKey, map[string]any{"action": p.action, "ids": ids}, nil)
	if err != nil {
		return
	}
	results, _ := out["results"].([]any)
	for _, x := range results {
		r := x.(map[string]any)
		s.pressed(p, r["id"].(string), r["ok"] == true)
	}
}

// pressed notes what an operator was told.
func (s *site) pressed(p press, id string, ok bool) {
	if !ok || p.action == "retry" {
		return
	}
	s.tally.count("settled by hand")
	s.o.note(func() {
		if _, twice := s.o.settled[id]; twice {
			s.errs = append(s.errs, "step "+id+" was settled by hand twice")
		}
		s.o.settled[id] = settled{time.Now(), p.action}
	})
}
