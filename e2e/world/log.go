package world

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"bellhop/internal/sandbox"
)

// LogLeaks returns what a server's log file holds that no log may: an e-mail address, a
// secret of the sandbox vendors, or one of the secrets that are named. Each is told once,
// with the line that it stands in.
func LogLeaks(path string, secrets ...string) []string {
	data, err := os.ReadFile(path)
	if err != nil {
		return []string{err.Error()}
	}
	secrets = append(secrets, sandbox.Token, sandbox.StripeKey, sandbox.DefaultStripeWebhookSecret)
	address := regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+`)
	told := map[string]bool{}
	var out []string
	for line := range strings.Lines(string(data)) {
		found := address.FindAllString(line, -1)
		for _, s := range secrets {
			if strings.Contains(line, s) {
				found = append(found, s)
			}
		}
		for _, f := range found {
			if !told[f] {
				told[f] = true
				out = append(out, fmt.Sprintf("the log holds %q: %s", f, strings.TrimSpace(line)))
			}
		}
	}
	return out
}
