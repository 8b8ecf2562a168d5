package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"bellhop/internal/store"
)

// metrics are this process's Prometheus metrics. Labels are routes, connections and
// states: never anything a stranger chose.
type metrics struct {
	handler  http.Handler
	requests *prometheus.HistogramVec
	hooks    *prometheus.CounterVec
}

func newMetrics(db *store.DB, version string) *metrics {
	reg := prometheus.NewRegistry()
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "bellhop_http_request_seconds",
			Help:    "Duration of HTTP requests by route and status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10}}, []string{"route", "status"}),
		hooks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bellhop_webhooks_total",
			Help: "Webhooks by connection and what became of them."}, []string{"connection", "result"}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "bellhop_build_info", Help: "Always 1.",
		ConstLabels: prometheus.Labels{"version": version}})
	info.Set(1)
	reg.MustRegister(m.requests, m.hooks, info, &ledgerCollector{db: db, steps: prometheus.NewDesc("bellhop_steps",
		"Steps by state; done and dropped ones of the last 24 hours.", []string{"state"}, nil),
		open: prometheus.NewDesc("bellhop_incidents_open", "Open incidents.", nil, nil)})
	m.handler = promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
	return m
}

func (m *metrics) request(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

// webhook counts a delivery; the name of a connection that does not exist is a
// stranger's word and becomes "unknown".
func (m *metrics) webhook(connection, result string) {
	m.hooks.WithLabelValues(connection, result).Inc()
}

// ledgerCollector reads the ledger when it is scraped, so that the numbers of all nodes
// agree and cost nothing in between.
type ledgerCollector struct {
	db          *store.DB
	steps, open *prometheus.Desc
}

// Describe sends the descriptions.
func (c *ledgerCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.steps
	ch <- c.open
}

// Collect reads the numbers.
func (c *ledgerCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	n, err := c.db.Counts(ctx, c.db.Now().Add(-24*time.Hour))
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.steps, err)
		return
	}
	for state, count := range n.StepsByState {
		ch <- prometheus.MustNewConstMetric(c.steps, prometheus.GaugeValue, float64(count), state)
	}
	ch <- prometheus.MustNewConstMetric(c.open, prometheus.GaugeValue, float64(n.IncidentsOpen))
}
