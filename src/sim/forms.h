// The forms that a batch of a model may take on a device: so many rows in a slice of so many processors.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/profiles.h"
#include "sim/tenants.h"

namespace tessera::sim {

struct Form {
  std::int32_t rows = 1;         // its bucket
  double alone = 0;              // seconds, while the rest of the device is idle
  double beside = 0;             // seconds, while neighbours fill the rest
  double processor_seconds = 0;  // of the latter
};

// By bucket and by slice of the ladder.
std::vector<Form> forms_of(const DeviceProfile& device, const TenantModel& model);

}  // namespace tessera::sim
