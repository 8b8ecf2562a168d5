package console

import (
	"net/http"
	"net/url"

	"bellhop"
	"bellhop/internal/watch"
)

type storyPage struct {
	page
	Story watch.Story
	Lines []storyLine
	Asked string // what was looked for, when nothing was found or nothing asked
}

// storyLine is a moment of a story with where its details are.
type storyLine struct {
	watch.StoryLine
	Name string // the kind of moment in words
	Tone string
	Link string
}

// findStory is the form that asks for a correlation id.
func (c *console) findStory(w http.ResponseWriter, r *http.Request) error {
	if id := text(r.URL.Query(), "id"); id != "" {
		http.Redirect(w, r, "/console/story/"+url.PathEscape(id), http.StatusSeeOther)
		return nil
	}
	return c.render(w, http.StatusOK, viewStory, storyPage{page: c.page(r, "Story", "story")})
}

// showStory tells everything that carries one correlation id, as one line of time.
func (c *console) showStory(w http.ResponseWriter, r *http.Request) error {
	id := text(url.Values{"id": {r.PathValue("id")}}, "id")
	unknown := bellhop.Errorf(bellhop.CodeNotFound, "Copy the whole correlation id: 32 letters and digits from a log line, a ticket or a step. "+
		"It may also be older than what is kept.", "Nothing carries this correlation id.")
	if id == "" { // the store would take it for "any"
		return unknown
	}
	st, err := watch.Tell(r.Context(), c.o.DB, id)
	if bellhop.CodeOf(err) == bellhop.CodeNotFound {
		return unknown
	}
	if err != nil {
		return err
	}
	p := storyPage{page: c.page(r, "Story", "story"), Story: st}
	for _, l := range st.Lines {
		p.Lines = append(p.Lines, lineOf(l))
	}
	return c.render(w, http.StatusOK, viewStory, p)
}

func lineOf(l watch.StoryLine) storyLine {
	out := storyLine{StoryLine: l, Name: l.What, Tone: "calm"}
	switch l.What {
	case "event":
		out.Name = "Came in"
	case "message":
		out.Name = "Customer"
	case "reply":
		out.Name = "Answer"
	case "step":
		out.Name, out.Link, out.Tone = "Step", "/console/steps/"+l.ID, stateChip(bellhop.StepState(l.State)).Tone
	case "attempt":
		out.Name, out.Link, out.Tone = "Try", "/console/steps/"+l.ID, "good"
		if l.State != "" {
			out.Tone = "bad"
		}
	case "support_request":
		out.Name, out.Link, out.Tone = "Support request", "/console/inbox/"+l.ID, statusChip(bellhop.SupportStatus(l.State)).Tone
	case "request":
		out.Name = "Request"
	case "retention":
		out.Name = "Removed"
	case "incident":
		out.Name, out.Tone = "Incident", "bad"
		if l.Detail == "over" {
			out.Tone = "good"
		}
	}
	return out
}

func sampleStory() storyPage {
	return storyPage{Story: watch.Story{CorrelationID: "x"}, Lines: []storyLine{{Link: "/"}}}
}
