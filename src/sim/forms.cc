#include "sim/forms.h"

#include <chrono>

#include "sim/sliced_runs.h"

namespace tessera::sim {

std::vector<Form> forms_of(const DeviceProfile& device, const TenantModel& model) {
  std::vector<Form> forms;
  const int atoms = device.shape.atoms();
  for (const std::int32_t bucket : model.params->buckets) {
    for (const Slice& slice : device.shape.ladder) {
      const int processors = device.shape.processors_in(slice);
      const double alone = std::chrono::duration<double>(model.run_time(bucket, processors)).count();
      const double beside =
          alone * (1 + slowed_by(device.beside(*model.profile).neighbour, slice.count, atoms - slice.count, atoms));
      forms.push_back({bucket, alone, beside, beside * processors});
    }
  }
  return forms;
}

}  // namespace tessera::sim
