package identity

import (
	"testing"

	"bellhop/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }
