package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"bellhop"
)

//go:embed assets
var assetFiles embed.FS

// assets are the embedded files. Their addresses carry a checksum of the content, so that
// a browser keeps them for ever and a new version is a new address.
type assets struct {
	byAddress map[string]asset  // "console-0123456789ab.css"
	address   map[string]string // "console.css" → "/console/assets/console-0123456789ab.css"
}

type asset struct {
	data        []byte
	contentType string
}

func loadAssets() (assets, error) {
	a := assets{byAddress: map[string]asset{}, address: map[string]string{}}
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		return a, err
	}
	for _, e := range entries {
		data, err := fs.ReadFile(assetFiles, "assets/"+e.Name())
		if err != nil {
			return a, err
		}
		ext := path.Ext(e.Name())
		ct := mime.TypeByExtension(ext)
		if ct == "" {
			return a, fmt.Errorf("console: asset %s has no known type", e.Name())
		}
		sum := sha256.Sum256(data)
		name := strings.TrimSuffix(e.Name(), ext) + "-" + hex.EncodeToString(sum[:6]) + ext
		a.byAddress[name] = asset{data: data, contentType: ct}
		a.address[e.Name()] = "/console/assets/" + name
	}
	return a, nil
}

// url is the address of an asset for templates; an asset that is not there is an error.
func (a assets) url(name string) (string, error) {
	u, ok := a.address[name]
	if !ok {
		return "", fmt.Errorf("console: there is no asset %s", name)
	}
	return u, nil
}

func (c *console) sendAsset(w http.ResponseWriter, r *http.Request) error {
	f, ok := c.assets.byAddress[r.PathValue("name")]
	if !ok {
		return bellhop.Errorf(bellhop.CodeNotFound, "Load the page again.", "There is no such file.")
	}
	w.Header().Set("Content-Type", f.contentType)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(f.data)
	return nil
}
