// A judge of notes and proofs that shares nothing with what it judges: it knows Go's packages
// golang.org/x/mod/sumdb/note and .../tlog, by which every Go program checks its modules.
//
// It reads one case a line (JSON) and answers each with a line: "ok", what the case asked for, or "no: " and
// the reason.
package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type Case struct {
	Kind  string            // note, record, tree, tiles, witness
	Key   string            // who is believed, as a vkey
	Note  []byte            // the note
	Leaf  []byte            // the bytes of a leaf
	Index int64             // where it stands
	Proof []tlog.Hash       // hashes in base64
	Old   int64             // the size of the older tree
	Root1 tlog.Hash         // its root
	Size  int64             // the size of the tree
	Root2 tlog.Hash         // its root
	Tiles map[string][]byte // tiles by their path
	Seed  []byte            // the secret of the witness
	Name  string            // its name
	Time  int64             // what its clock says
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		answer := "ok"
		var c Case
		if err := json.Unmarshal(line, &c); err != nil {
			answer = "no: " + err.Error()
		} else if found, err := judge(&c); err != nil {
			answer = "no: " + err.Error()
		} else if found != "" {
			answer = found
		}
		fmt.Println(strings.ReplaceAll(answer, "\n", "|"))
	}
}

func judge(c *Case) (string, error) {
	switch c.Kind {
	case "note":
		_, err := open(c)
		return "", err
	case "record":
		return "", tlog.CheckRecord(c.Proof, c.Size, c.Root2, c.Index, tlog.RecordHash(c.Leaf))
	case "tree":
		return "", tlog.CheckTree(c.Proof, c.Size, c.Root2, c.Old, c.Root1)
	case "tiles":
		return "", followTiles(c)
	case "witness":
		return cosign(c)
	}
	return "", errors.New("unknown kind " + c.Kind)
}

func open(c *Case) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(c.Key)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(c.Note, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// followTiles opens a checkpoint and reads the leaf from tiles that it checks against the checkpoint alone.
func followTiles(c *Case) error {
	tree, err := open(c)
	if err != nil {
		return err
	}
	hashes, err := tlog.TileHashReader(tree, tiles(c.Tiles)).ReadHashes([]int64{tlog.StoredHashIndex(0, c.Index)})
	if err != nil {
		return err
	}
	if hashes[0] != tlog.RecordHash(c.Leaf) {
		return errors.New("another leaf")
	}
	proof, err := tlog.ProveRecord(tree.N, c.Index, tlog.TileHashReader(tree, tiles(c.Tiles)))
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, c.Index, hashes[0])
}

type tiles map[string][]byte

func (t tiles) Height() int                    { return 8 }
func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		data, known := t[strings.TrimPrefix(tile.Path(), "tile/8/")]
		if !known {
			return nil, errors.New("no tile " + tile.Path())
		}
		found = append(found, data)
	}
	return found, nil
}

// cosign does what a witness does once it has found Old and Root1 to be what it signed last.
func cosign(c *Case) (string, error) {
	tree, err := open(c)
	if err != nil {
		return "", err
	}
	if c.Old > 0 {
		if err := tlog.CheckTree(c.Proof, tree.N, tree.Hash, c.Old, c.Root1); err != nil {
			return "", err
		}
	}
	text, _, _ := strings.Cut(string(c.Note), "\n\n")
	key := ed25519.NewKeyFromSeed(c.Seed)
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s\n", c.Time, text)
	public := append([]byte{4}, key.Public().(ed25519.PublicKey)...)
	id := sha256.Sum256(append([]byte(c.Name+"\n"), public...))
	signed := append([]byte{}, id[:4]...)
	signed = binary.BigEndian.AppendUint64(signed, uint64(c.Time))
	signed = append(signed, ed25519.Sign(key, []byte(message))...)
	return fmt.Sprintf("%d %s — %s %s", tree.N, tree.Hash, c.Name, base64.StdEncoding.EncodeToString(signed)), nil
}
