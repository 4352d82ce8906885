// The kernels that frame plans, for the driver in memory: what plan_frame.cu does, without processors.
#pragma once

#include <cstdint>

#include "device/cuda/plan_moves.h"
#include "tests/support/cuda/fake_cuda.h"

namespace tessera::device::test {

void add_plan_kernels(FakeCuda& cuda);

// One move, in the host's memory.
void carry_out(const Move& move);

// Rounded to the nearest, ties to even.
std::uint16_t half_of(float value);

}  // namespace tessera::device::test
