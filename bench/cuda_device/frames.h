// What the kernels that frame a plan cost.
#pragma once

#include "bench/cuda_device/kit.h"

namespace tessera::device::bench {

// When the end of a graph is seen: by the word that its scatter kernel writes, and the same graph without a frame by
// the word that the stream writes; one and as many as there are atoms in flight.
void framed_ends(CudaDevice& device, ProbeKit& kit, CardClock& clock);

// From the launch until its end is seen, for inputs in pinned memory: fetched by the gather kernel in small and large
// slices, and by a copy engine.
void inputs(CudaDevice& device, ProbeKit& kit);

}  // namespace tessera::device::bench
