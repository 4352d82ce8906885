#include "device/launch_check.h"

#include <algorithm>
#include <string>

namespace tessera::device {

Status check_launch(const DeviceShape& shape, const Launch& launch) {
  if (launch.id.value == 0 || launch.plan == nullptr || launch.batch == nullptr) {
    return invalid_argument("a launch has an id, a plan and a batch");
  }
  if (std::find(shape.ladder.begin(), shape.ladder.end(), launch.slice) == shape.ladder.end()) {
    return invalid_argument("device " + shape.name + " has no slice of " + std::to_string(launch.slice.count) +
                            " atoms at " + std::to_string(launch.slice.first));
  }
  return ok_status();
}

}  // namespace tessera::device
