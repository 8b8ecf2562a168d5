package storetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	oldestMajor  = 15
	folderPrefix = "bellhop-pg-"
	ownerFile    = "owner.pid"
	staleAfter   = time.Hour
)

// findBinaries returns the folder with initdb and postgres: the one that
// $BELLHOP_PG_BIN names, else the newest supported version that is installed.
func findBinaries(getenv func(string) string) (string, error) {
	if dir := getenv("BELLHOP_PG_BIN"); dir != "" {
		if major, ok := serverVersion(dir); !ok || major < oldestMajor {
			return "", fmt.Errorf("BELLHOP_PG_BIN=%s holds no PostgreSQL %d or newer: %w", dir, oldestMajor, ErrNoPostgres)
		}
		return dir, nil
	}
	best, bestMajor := "", 0
	for _, dir := range binaryFolders() {
		if major, ok := serverVersion(dir); ok && major >= oldestMajor && major > bestMajor {
			best, bestMajor = dir, major
		}
	}
	if best == "" {
		return "", ErrNoPostgres
	}
	return best, nil
}

// binaryFolders lists where the packages of the common systems put a server. Debian
// keeps it out of PATH on purpose.
func binaryFolders() []string {
	var dirs []string
	if p, err := exec.LookPath("initdb"); err == nil {
		if target, err := filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		dirs = append(dirs, found...)
	}
	return dirs
}

// serverVersion returns the major version of the server in dir; false when initdb or
// postgres is missing or does not run.
func serverVersion(dir string) (int, bool) {
	name := func(s string) string {
		if runtime.GOOS == "windows" {
			s += ".exe"
		}
		return filepath.Join(dir, s)
	}
	if _, err := os.Stat(name("initdb")); err != nil {
		return 0, false
	}
	out, err := exec.Command(name("postgres"), "--version").Output()
	if err != nil {
		return 0, false
	}
	m := regexp.MustCompile(`\(PostgreSQL\) (\d+)`).FindStringSubmatch(string(out))
	if m == nil {
		return 0, false
	}
	major, err := strconv.Atoi(m[1])
	return major, err == nil
}

// baseFolder picks the folder to put clusters in: dir, or the first folder for
// temporary files that the server's user can reach.
func baseFolder(dir string, acc *account) (string, error) {
	if dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", err
		}
		if !acc.canReach(abs) {
			return "", fmt.Errorf("%s cannot be reached by user %s, as whom PostgreSQL has to run", abs, acc.name())
		}
		return abs, nil
	}
	tried := []string{os.TempDir(), "/tmp", "/var/tmp"}
	for _, d := range tried {
		if st, err := os.Stat(d); err == nil && st.IsDir() && acc.canReach(d) {
			return d, nil
		}
	}
	return "", fmt.Errorf("none of %s can be reached by user %s, as whom PostgreSQL has to run",
		strings.Join(tried, ", "), acc.name())
}

// makeFolder makes the cluster's own folder, closed to everybody but its user.
func makeFolder(base string, acc *account) (string, error) {
	dir, err := os.MkdirTemp(base, folderPrefix)
	if err != nil {
		return "", err
	}
	owner := filepath.Join(dir, ownerFile)
	if err := os.WriteFile(owner, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return "", err
	}
	return dir, acc.own(dir)
}

// removeStale removes what a killed test binary left behind when even its watchdog was
// killed. It only takes folders that are old and whose owner is gone, so that it can
// never take the cluster of a test binary that runs beside this one.
func removeStale(base string, now time.Time) {
	dirs, _ := filepath.Glob(filepath.Join(base, folderPrefix+"*"))
	for _, dir := range dirs {
		st, err := os.Stat(dir)
		if err != nil || now.Sub(st.ModTime()) < staleAfter {
			continue
		}
		if pid, ok := readPID(filepath.Join(dir, ownerFile)); ok && processAlive(pid) {
			continue
		}
		if pid, ok := readPID(filepath.Join(dir, "data", "postmaster.pid")); ok && processAlive(pid) {
			continue
		}
		_ = os.RemoveAll(dir)
	}
}

// readPID reads the process id on the first line of a file.
func readPID(path string) (int, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	return pid, err == nil && pid > 1
}
