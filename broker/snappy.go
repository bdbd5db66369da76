package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// snappyGrowth is the most that a byte of snappy can become: three bytes copy at most 64.
const snappyGrowth = 22

var (
	xerialMagic  = []byte("\x82SNAPPY\x00")
	errBadSnappy = errors.New("a length in the compressed batch cannot be true")
)

// checkSnappy holds the lengths that a batch names against what it holds. The codec believes them, and a few bytes would make
// it ask for gigabytes.
func checkSnappy(data []byte) error {
	if !bytes.HasPrefix(data, xerialMagic) || len(data) < 16 {
		return checkSnappyBlock(data)
	}
	for c := (cursor{left: data[16:]}); len(c.left) > 0; {
		block := c.take(int(uint32(c.int32())))
		if c.bad {
			return errBadSnappy
		}
		if err := checkSnappyBlock(block); err != nil {
			return err
		}
	}
	return nil
}

func checkSnappyBlock(block []byte) error {
	if len(block) == 0 {
		return nil // the codec knows what that is
	}
	if grown, n := binary.Uvarint(block); n <= 0 || grown > snappyGrowth*uint64(len(block)) {
		return errBadSnappy
	}
	return nil
}
