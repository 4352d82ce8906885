// Several models in closed loop, in process, under one policy after the other: what each way of sharing a device
// answers, and how evenly, and what several devices answer together. Every round runs every policy; all of them use the
// same loaded models, which have been tuned for the batches before the first. Inputs come as the models' own
// configurations say.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "engine/engine.h"
#include "measure/sharing_report.h"

namespace tessera::measure {

// A device with the engine that makes its plans, which outlive the measurement.
struct Part {
  device::Device& device;
  engine::Engine& engine;
};

// What is measured on: one device, or several of one kind. Those are measured one by one, and then all at once under
// one service, with so many times the requests outstanding, each of which goes where the router sends it.
struct Subject {
  std::string kind;         // "host" or "cuda", as model::ConfigDefaults knows it
  std::string description;  // for reports
  std::vector<Part> parts;
};

struct SharingOptions {
  std::filesystem::path models;  // a repository; a model that is named twice is loaded twice
  std::vector<std::string> mix{"resnet50", "mobilenet_v2", "resnet50", "vgg19"};
  std::vector<std::int64_t> batches{1, 4, 8, 16};
  // NAME or NAME/COMMITTED: how many launches, 0 or 1, an atom takes behind the running one.
  std::vector<std::string> policies{"temporal", "temporal/0", "streams", "fixed", "tessera"};
  double seconds = 2;
  double warm_seconds = 1;
  int rounds = 3;
  int outstanding = 2;  // requests of a tenant, for each device
  int lanes = 2;
  // After each policy of a round, bare launches of the same plans as it would have them, for as long: one after the
  // other on the whole device, with one committed behind or none; each lane for itself; each tenant in a slice. On one
  // device whose plans are homed.
  bool bare = false;
  std::function<Status()> before_each = {};           // called before every measurement, which an error ends
  std::function<void(const Run&)> after_policy = {};  // what there is so far, after each policy of each round
};

// Error: the first that came; also that of `before_each`.
Result<Run> share(const Subject& subject, const SharingOptions& options, const std::string& command);

}  // namespace tessera::measure
