#pragma once

#include "device/cuda/driver.h"

namespace tessera::device {

// Whether an end of a copy is the card's memory; `address` is looked at where the type leaves it open.
bool on_device(const Driver& driver, CUmemorytype type, CUdeviceptr address);

}  // namespace tessera::device
