// Re-allocation: what lies between launches that change slice every time, on a card that is always busy.
#pragma once

#include "bench/cuda_device/kit.h"

namespace tessera::device::bench {

// 10,000 launches of a probe that takes `busy`; every atom has one committed behind the running one.
void gaps_between(const char* name, CudaDevice& device, ProbeKit& kit, Duration busy);

}  // namespace tessera::device::bench
