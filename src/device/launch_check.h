// What every device refuses in a launch.
#pragma once

#include "base/result.h"
#include "core/slice.h"
#include "device/device.h"

namespace tessera::device {

// Error: kInvalidArgument for a launch without id, plan or batch, and for a slice that is not on the device's ladder.
Status check_launch(const DeviceShape& shape, const Launch& launch);

}  // namespace tessera::device
