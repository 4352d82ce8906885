// Counts and times of what was served, in Triton's terms and in ours.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/histogram.h"
#include "base/result.h"
#include "base/time.h"
#include "engine/engine.h"
#include "sched/model_params.h"

namespace tessera::runtime {

struct CountAndTime {
  std::uint64_t count = 0;
  Duration total{0};
};

// A snapshot of one model version.
struct ModelStatistics {
  std::string model;
  std::int64_t version = 0;
  std::uint64_t inference_count = 0;     // rows
  std::uint64_t execution_count = 0;     // batches
  std::uint64_t uncaptured_batches = 0;  // of these, launched kernel by kernel
  std::uint64_t last_inference_ms = 0;   // Unix time; as Triton's protocol counts it
  CountAndTime success, fail, queue, compute_input, compute_infer, compute_output;
  struct Batch {
    CountAndTime compute_input, compute_infer, compute_output;
  };
  std::map<std::int32_t, Batch> batches;  // by executed batch size
  // Requests without a result, by reason: "invalid" (refused by the checks; not counted in `fail`), "queue_full",
  // "timeout", "deadline", "model_gone", "cancelled", "engine", "device".
  std::map<std::string, std::uint64_t> failures;
  std::uint64_t pending = 0;
  std::uint64_t with_slo = 0;  // answered or rejected requests that had an objective
  std::uint64_t met_slo = 0;
  sched::LiveParams params;  // as they are now, or were at the end
  // Its shortest run as measured, alone in the slice where it is shortest; zero: too little was measured to say.
  Duration fastest_measured{0};
  Histogram latency;  // arrival to answer ready, successful requests
  Histogram queue_time;
  std::uint64_t evictions = 0;           // how often it left for want of memory
  std::uint64_t waiting_for_return = 0;  // requests that wait until it is loaded again
  Histogram return_time;                 // arrival to answer ready, successful requests that waited for that
  double atom_seconds = 0;               // slice time used: as Prometheus counts it
  std::map<std::pair<std::string, std::uint16_t>, std::uint64_t>
      launches_by_atom;                             // by (device, atom): where batches ran
  std::map<std::string, engine::MemoryUse> memory;  // by device, where it is loaded now

  // Whether nothing that was measured is as short as its objective.
  bool slo_is_impossible() const { return params.slo && *params.slo < fastest_measured; }
};

// The same version on two devices, as one.
void merge(ModelStatistics& into, const ModelStatistics& other);
// Those of the same version merged, by model and version.
std::vector<ModelStatistics> merged(std::vector<ModelStatistics> all);
// Error: nothing of that name or version, with the text clients match.
Result<std::vector<ModelStatistics>> of_model(std::vector<ModelStatistics> all, std::string_view model,
                                              std::optional<std::int64_t> version);

struct DeviceStatistics {
  std::string device;
  bool up = true;
  std::uint64_t stuck = 0;           // launches that do not end
  std::vector<double> busy_seconds;  // per atom
  double dispatching_seconds = 0;    // in which somebody held the dispatcher's role
  std::uint64_t launches = 0;
  std::uint64_t copied_tensor_bytes = 0;  // user-space copies of tensor bytes on the request path
};

}  // namespace tessera::runtime
