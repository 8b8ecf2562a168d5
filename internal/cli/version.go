package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCmd prints which program this is.
type versionCmd struct {
	JSON bool `help:"As JSON."`
}

// Help is the command's longer help.
func (versionCmd) Help() string {
	return "Example:\n\n    bellhop version --json"
}

// versionInfo is what the command tells.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Run prints the version.
func (c *versionCmd) Run(s *session) error {
	if c.JSON {
		return writeJSON(s.stdout, describe(s.build))
	}
	_, err := fmt.Fprintln(s.stdout, versionLine(s.build))
	return err
}

func describe(b Build) versionInfo {
	v := versionInfo{Version: b.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if v.Version == "" {
		v.Version = "dev"
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if v.Version == "dev" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version // installed with go install …@version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	return v
}

func versionLine(b Build) string {
	v := describe(b)
	line := "bellhop " + v.Version
	if v.Commit != "" {
		line += " (" + v.Commit[:min(12, len(v.Commit))] + ")"
	}
	return line + " " + v.Go + " " + v.Platform
}
