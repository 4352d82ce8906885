// Devices and models as they were measured: what a simulation knows of the world.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "core/slice.h"
#include "loadgen/workload.h"
#include "sched/profile.h"
#include "sim/device.h"

namespace tessera::sim {

struct ModelProfile {
  std::vector<sched::ProfilePoint> points;
  Bytes memory;  // of an instance; 0: not known
  // Its own, instead of the device's (Beside).
  std::optional<double> neighbour{};
  std::optional<double> contention{};
};

// One kind of device. Immutable.
struct DeviceProfile {
  DeviceShape shape;
  DeviceTraits traits;
  Bytes memory;  // for models; 0: not limited
  std::map<std::string, ModelProfile, std::less<>> models;

  // The error lists the models that there are.
  Result<const ModelProfile*> model(std::string_view name) const;
  // Of one run on the whole device.
  Duration whole(const ModelProfile& model, std::int32_t rows) const;
  // Adds models that it has no latencies of as the workload says whose stand in for them. Error: it lacks those, too.
  Status stand_in(const loadgen::Workload& workload);
  Beside beside(const ModelProfile& model) const {
    return {model.neighbour.value_or(traits.beside.neighbour), model.contention.value_or(traits.beside.contention)};
  }
};

// By name, as `--device` gives it. Errors name `file`, line and column.
Result<std::map<std::string, DeviceProfile>> parse_profiles(std::string_view text, std::string_view file);

// What a file of profiles says of one device beside its models.
struct MeasuredDevice {
  std::string name;
  std::string hardware;
  std::string source;  // the command that measured it
  std::string date;    // "2026-01-31"
  std::string note;    // may be empty
};
// A file that parse_profiles() reads as the same.
std::string profiles_json(const MeasuredDevice& about, const DeviceProfile& device);

}  // namespace tessera::sim
