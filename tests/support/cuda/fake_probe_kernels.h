// The probe kernels for the driver in memory: what probe_kernels.cu does, without processors.
#pragma once

#include "tests/support/cuda/fake_cuda.h"

namespace tessera::device::test {

void add_probe_kernels(FakeCuda& cuda);

}  // namespace tessera::device::test
