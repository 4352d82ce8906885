// The kernel that tells the card's time, for the driver in memory.
#pragma once

#include <cstdint>

#include "tests/support/cuda/fake_cuda.h"

namespace tessera::device::test {

// Its clock is the host's, ahead by so much.
void add_card_clock(FakeCuda& cuda, std::uint64_t ahead_ns);

}  // namespace tessera::device::test
