// Runs a freshly loaded model on made-up input: to see that it runs at all, and how long it takes.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "model/config.h"
#include "model/host.h"
#include "model/repository.h"
#include "model/synthetic.h"
#include "sched/profile.h"

namespace tessera::model {

// What measuring a model may cost, its first runs aside.
inline constexpr Duration kMeasureBudget = std::chrono::seconds(1);
// Runs that are expected to take longer are left to be learned from what is served: where nobody else serves yet, in
// slices inside the loader slice, and where others wait for the whole run.
inline constexpr Duration kLongestProbeAlone = std::chrono::milliseconds(500);
inline constexpr Duration kLongestProbeInside = std::chrono::milliseconds(300);
inline constexpr Duration kLongestProbeBeside = std::chrono::milliseconds(50);

// How a run without a caller ended.
struct TrialRun {
  Status status;
  Duration took{0};
};

// Trial runs of one model. Owned by the loader thread; the referenced objects outlive it.
class Measurer {
 public:
  // Once `stopped`, no run begins any more.
  Measurer(Host& host, engine::LoadedModel& model, const ModelConfig& config, const std::atomic<bool>& stopped)
      : host_(host), model_(model), config_(config), signature_(largest_shape(config)), stopped_(stopped) {}

  // Runs one row in `slice`, which has its plans. Where the model leaves dimensions free, other sizes are tried as
  // well. Error: kDeviceLost, kUnavailable (stopped), or the model's own words where it cannot run. A model that fails
  // only because its made-up sizes are wrong is fine; runs() is false then and nothing can be measured.
  Status first_run(const Slice& slice);
  bool runs() const { return side_ > 0; }
  Duration one_row() const { return one_row_; }  // what the last first_run() took; zero where nothing runs

  // Runs so many rows once, if one row took little enough. Error: what is wrong with them.
  Status try_rows(const Slice& slice, std::int32_t rows);

  // Latencies of `sizes` on each slice, as far as the budget allows.
  std::vector<sched::ProfilePoint> measure(const std::vector<Slice>& slices, const std::vector<std::int32_t>& sizes,
                                           bool alone);

  // That of `rows` where the caller has borrowed the slice, and nothing else runs in lane 0; nothing where it would
  // take long.
  std::optional<Duration> measure_borrowed(const Slice& slice, std::int32_t rows);

  // One run of one row, so that the first request in `slice` does not pay for what a first run sets up.
  void touch(const Slice& slice);

  Status run_warmup(const ModelFolder& folder, const Slice& slice);

 private:
  Duration longest_probe(const Slice& slice, bool alone) const;
  TrialRun run(const Slice& slice, Batch& batch, Duration expected, int times);
  TrialRun run_borrowed(const Slice& slice, Batch& batch, int times);
  TrialRun run_rows(const Slice& slice, std::int32_t rows, Duration expected, int times);
  Status check_outputs(const Batch& batch) const;
  Status check_buckets(const Batch& batch) const;

  Host& host_;
  engine::LoadedModel& model_;
  const ModelConfig& config_;
  const ModelSignature signature_;  // of its made-up requests
  const std::atomic<bool>& stopped_;
  std::int64_t side_ = 0;  // of free dimensions, known to run; 0: none found
  Duration one_row_{0};    // in the slice of the first run
};

}  // namespace tessera::model
