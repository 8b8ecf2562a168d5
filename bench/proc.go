package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc, the same on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// cpu returns the CPU time that a process has used so far; 0 where /proc is missing.
func cpu(pid int) time.Duration {
	fields, err := stat(pid)
	if err != nil {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64) // the kernel writes numbers
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick
}

// stat returns the fields of /proc/PID/stat behind the command's name.
func stat(pid int) ([]string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 22 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return fields, nil
}

// memory returns the resident and the highest resident size of a process in MiB.
func memory(pid int) (now, peak float64) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	for _, line := range strings.Split(string(data), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kib, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "VmRSS:":
			now = kib / 1024
		case "VmHWM:":
			peak = kib / 1024
		}
	}
	return now, peak
}

// postgresCPU returns the CPU time of every process of the cluster whose server runs
// below dir, those that have ended included as far as their parent has counted them.
func postgresCPU() time.Duration {
	var sum time.Duration
	paths, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, p := range paths {
		name, err := os.ReadFile(p)
		if err != nil || strings.TrimSpace(string(name)) != "postgres" {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(p))) // the pattern matched digits
		sum += cpu(pid)
	}
	return sum
}
