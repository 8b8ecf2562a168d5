package intake_test

import (
	"testing"

	"bellhop/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }
