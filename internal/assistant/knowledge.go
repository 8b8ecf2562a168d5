package assistant

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// The limits of the knowledge. A folder beyond them is refused by name rather than
// read in part, so that nobody wonders why an answer is missing.
const (
	maxFileSize  = 1 << 20
	maxTotalSize = 32 << 20
	maxFiles     = 2000
)

// errKnowledgeLimit is wrapped by every refusal of a folder that is too large.
var errKnowledgeLimit = errors.New("knowledge is too large")

// readKnowledge reads every Markdown file below the root of fsys, in the order of
// their names. Hidden files and folders are left out.
func readKnowledge(ctx context.Context, fsys fs.FS) ([]section, error) {
	var out []section
	files, total := 0, 0
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		hidden := name != "." && strings.HasPrefix(d.Name(), ".")
		switch {
		case d.IsDir() && hidden:
			return fs.SkipDir
		case d.IsDir() || hidden || !isMarkdown(name):
			return nil
		}
		data, err := readLimited(fsys, name)
		if err != nil {
			return err
		}
		files++
		total += len(data)
		if files > maxFiles {
			return fmt.Errorf("%w: more than %d files", errKnowledgeLimit, maxFiles)
		}
		if total > maxTotalSize {
			return fmt.Errorf("%w: more than %d bytes in all", errKnowledgeLimit, maxTotalSize)
		}
		out = append(out, splitMarkdown(name, string(data))...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("assistant: knowledge: %w", err)
	}
	return out, nil
}

func isMarkdown(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".md", ".markdown":
		return true
	}
	return false
}

func readLimited(fsys fs.FS, name string) (data []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("%s: %w: more than %d bytes in one file", name, errKnowledgeLimit, maxFileSize)
	}
	return data, nil
}
