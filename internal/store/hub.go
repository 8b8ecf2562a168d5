package store

import "sync"

// Hub tells listeners in this process that something about a topic changed. It carries
// no data: whoever is woken reads the store, so a lost or doubled wake-up does no harm.
type Hub struct {
	mu   sync.Mutex
	subs map[string]map[chan struct{}]struct{}
}

// NewHub makes an empty hub.
func NewHub() *Hub { return &Hub{subs: map[string]map[chan struct{}]struct{}{}} }

// AnyStep is the topic that every recorded step change wakes.
const AnyStep = "steps"

// ConversationTopic is the topic of everything a conversation's owner can see change.
func ConversationTopic(id string) string { return "conversation:" + id }

// Subscribe returns a channel that receives after something changed about any of the
// topics, and a function that ends the subscription. Changes while nobody receives are
// folded into one.
func (h *Hub) Subscribe(topics ...string) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, topic := range topics {
		if h.subs[topic] == nil {
			h.subs[topic] = map[chan struct{}]struct{}{}
		}
		h.subs[topic][ch] = struct{}{}
	}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, topic := range topics {
			delete(h.subs[topic], ch)
			if len(h.subs[topic]) == 0 {
				delete(h.subs, topic)
			}
		}
	}
}

// Wake tells the listeners of the topics.
func (h *Hub) Wake(topics ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range topics {
		for ch := range h.subs[t] {
			select {
			case ch <- struct{}{}:
			default:
			}
		}
	}
}
