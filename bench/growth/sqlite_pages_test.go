package growth

import (
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
)

// sqlitePages counts the pages of every table and index of a SQLite file by walking its
// B-trees (https://sqlite.org/fileformat2.html): this build of SQLite has no dbstat. The
// write-ahead log must have been checkpointed.
func sqlitePages(db *sql.DB, path string) (map[string]int64, error) {
	rows, err := db.Query("SELECT name, tbl_name, type, rootpage FROM sqlite_master WHERE rootpage > 0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	w := pageWalker{data: data, size: int(binary.BigEndian.Uint16(data[16:]))}
	if w.size == 1 {
		w.size = 65536
	}
	sizes := map[string]int64{} // free pages are not counted: what comes next fills them
	for rows.Next() {
		var name, table, kind string
		var root int
		if err := rows.Scan(&name, &table, &kind, &root); err != nil {
			return nil, err
		}
		if kind == "index" {
			name = table + " / " + name
		}
		n, err := w.walk(root)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		sizes[name] = int64(n) * int64(w.size)
	}
	return sizes, rows.Err()
}

type pageWalker struct {
	data []byte
	size int
}

// The types of B-tree pages.
const (
	indexInterior = 2
	tableInterior = 5
	indexLeaf     = 10
	tableLeaf     = 13
)

// walk returns the number of pages of the B-tree below a page, overflow pages included.
func (w *pageWalker) walk(page int) (int, error) {
	at := (page - 1) * w.size
	if page < 1 || at+w.size > len(w.data) {
		return 0, fmt.Errorf("there is no page %d", page)
	}
	p := w.data[at : at+w.size]
	head := p
	if page == 1 {
		head = p[100:]
	}
	kind, cells := head[0], int(binary.BigEndian.Uint16(head[3:]))
	pointers := head[8:]
	total := 1
	if kind == indexInterior || kind == tableInterior {
		pointers = head[12:]
		n, err := w.walk(int(binary.BigEndian.Uint32(head[8:])))
		if err != nil {
			return 0, err
		}
		total += n
	}
	for i := range cells {
		cell := p[binary.BigEndian.Uint16(pointers[2*i:]):]
		if kind == indexInterior || kind == tableInterior {
			n, err := w.walk(int(binary.BigEndian.Uint32(cell)))
			if err != nil {
				return 0, err
			}
			total += n
			cell = cell[4:]
		}
		if kind != tableInterior {
			total += w.overflow(kind, varint(cell))
		}
	}
	return total, nil
}

// overflow returns the pages that a payload takes beyond its leaf.
func (w *pageWalker) overflow(kind byte, payload int) int {
	usable := w.size
	most, least := usable-35, (usable-12)*32/255-23
	if kind != tableLeaf {
		most = (usable-12)*64/255 - 23
	}
	if payload <= most {
		return 0
	}
	local := least + (payload-least)%(usable-4)
	if local > most {
		local = least
	}
	return (payload - local + usable - 5) / (usable - 4)
}

func varint(b []byte) int {
	n := 0
	for i := range 9 {
		n = n<<7 | int(b[i]&0x7f)
		if b[i]&0x80 == 0 {
			break
		}
	}
	return n
}
