#include "model/measure.h"

#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "model/synthetic.h"

namespace tessera::model {
namespace {

constexpr Duration kUnknownRun = std::chrono::milliseconds(100);  // announced for a first run
constexpr int kRunsPerPoint = 5;
constexpr Duration kLongestStep = std::chrono::milliseconds(20);  // several short runs in one borrowed step

bool is_final(const Status& status) {
  return !status.ok() &&
         (status.error().code() == ErrorCode::kDeviceLost || status.error().code() == ErrorCode::kUnavailable);
}

Duration median(std::vector<Duration> took) {
  std::nth_element(took.begin(), took.begin() + std::ssize(took) / 2, took.end());
  return took[took.size() / 2];
}

}  // namespace

TrialRun Measurer::run(const Slice& slice, Batch& batch, Duration expected, int times) {
  TrialRun trial;
  if (stopped_.load()) {
    trial.status = unavailable("the server is stopping");
    return trial;
  }
  trial.status = host_.with_borrowed(slice, expected, [&]() -> Status {
    trial = run_borrowed(slice, batch, times);
    return trial.status;
  });
  return trial;
}

TrialRun Measurer::run_borrowed(const Slice& slice, Batch& batch, int times) {
  TrialRun trial;
  std::vector<Duration> took;
  const auto all = [&]() -> Status {
    TESSERA_ASSIGN_OR_RETURN(const device::Plan* plan, model_.prepare_home(batch.bucket, {0}, slice));
    const TimePoint begin = now();
    for (int i = 0; i < times && (i == 0 || now() - begin < kLongestStep); ++i) {
      batch.outputs.clear();
      batch.output_memory.reset();
      TESSERA_ASSIGN_OR_RETURN(const Duration one, host_.device().run_borrowed(*plan, slice, batch));
      took.push_back(one);
    }
    return check_outputs(batch);
  };
  trial.status = all();
  if (!took.empty()) trial.took = median(took);
  batch.outputs.clear();
  batch.output_memory.reset();
  return trial;
}

std::optional<Duration> Measurer::measure_borrowed(const Slice& slice, std::int32_t rows) {
  if (!runs() || stopped_.load() || one_row_ * rows > kLongestProbeBeside) return std::nullopt;
  auto made = synthetic_batch(signature_, rows, rows, side_);
  if (!made.ok()) return std::nullopt;
  made->move_to(host_.device().staging());
  const TrialRun trial = run_borrowed(slice, made->batch(), kRunsPerPoint);
  return trial.status.ok() ? std::optional(trial.took) : std::nullopt;
}

TrialRun Measurer::run_rows(const Slice& slice, std::int32_t rows, Duration expected, int times) {
  auto made = synthetic_batch(signature_, rows, rows, side_);
  if (!made.ok()) return {made.error(), {}};
  made->move_to(host_.device().staging());
  return run(slice, made->batch(), expected, times);
}

// What the configuration says of free dimensions of outputs.
Status Measurer::check_buckets(const Batch& batch) const {
  const ShapeBuckets& buckets = config_.shape_buckets;
  const std::size_t skip = config_.signature.max_batch_size > 0 ? 1 : 0;
  for (const ShapeBuckets::Place& place : buckets.outputs) {
    const auto input = std::find_if(buckets.inputs.begin(), buckets.inputs.end(),
                                    [&](const auto& other) { return other.axis == place.axis; });
    const std::int64_t size = batch.inputs[input->tensor].row_shape[input->dim];
    const Shape& shape = batch.outputs[place.tensor].shape;
    if (shape.rank() <= place.dim + skip || shape[place.dim + skip] != size) {
      return invalid_argument("parameters.shape_buckets: output '" + config_.signature.outputs[place.tensor].name +
                              "' is " + shape.to_string() + ", and its dimension " + std::to_string(place.dim) +
                              " is not the " + std::to_string(size) + " of " + buckets.axes[place.axis].name);
    }
  }
  return ok_status();
}

// A model whose outputs have no row for each row of its inputs has no batch dimension, whatever its file looks like.
Status Measurer::check_outputs(const Batch& batch) const {
  if (batch.outputs.size() == config_.signature.outputs.size()) TESSERA_RETURN_IF_ERROR(check_buckets(batch));
  if (config_.signature.max_batch_size == 0) return ok_status();
  for (std::size_t i = 0; i < std::min(batch.outputs.size(), config_.signature.outputs.size()); ++i) {
    const Shape& shape = batch.outputs[i].shape;
    if (shape.rank() == 0 || shape[0] != batch.rows) {
      return invalid_argument("output '" + config_.signature.outputs[i].name + "' is " + shape.to_string() + " for " +
                              std::to_string(batch.rows) + " rows");
    }
  }
  return ok_status();
}

Status Measurer::first_run(const Slice& slice) {
  const bool free = has_free_dimensions(signature_);
  Status last;
  for (const std::int64_t side : kTriedSides) {
    side_ = side;
    const TrialRun trial = run_rows(slice, 1, kUnknownRun, 1);
    if (trial.status.ok()) {
      one_row_ = trial.took;
      return ok_status();
    }
    side_ = 0;
    last = trial.status;
    if (is_final(last) || !free) return last.error().in("the model does not run");
  }
  log(LogLevel::kInfo, "no made-up input fits the model; its latency will be learned from requests",
      {{"model", config_.name}, {"reason", last.error().message()}});
  return ok_status();
}

Status Measurer::try_rows(const Slice& slice, std::int32_t rows) {
  if (!runs() || rows == 1 || one_row_ * rows > kMeasureBudget) return ok_status();
  const TrialRun trial = run_rows(slice, rows, one_row_ * rows, 1);
  if (trial.status.ok() || trial.status.error().code() == ErrorCode::kTooLarge) return ok_status();
  return trial.status;
}

Duration Measurer::longest_probe(const Slice& slice, bool alone) const {
  const Slice& loader = host_.device().shape().loader;
  const bool inside = slice.first >= loader.first && slice.end() <= loader.end();
  return alone ? kLongestProbeAlone : inside ? kLongestProbeInside : kLongestProbeBeside;
}

std::vector<sched::ProfilePoint> Measurer::measure(const std::vector<Slice>& slices,
                                                   const std::vector<std::int32_t>& sizes, bool alone) {
  std::vector<sched::ProfilePoint> points;
  if (!runs()) return points;
  const DeviceShape& shape = host_.device().shape();
  Duration spent{0};
  for (const std::int32_t rows : sizes) {
    for (const Slice& slice : slices) {
      // Rows times the latency of one is an upper bound.
      const Duration expected = one_row_ * rows;
      if (expected > longest_probe(slice, alone) || spent + expected > kMeasureBudget) continue;
      run_rows(slice, rows, expected, 1);  // the first run of a size sets things up, and is not counted
      const TrialRun trial = run_rows(slice, rows, expected, kRunsPerPoint);
      if (!trial.status.ok()) {
        if (is_final(trial.status)) return points;
        continue;
      }
      spent += std::max(trial.took * kRunsPerPoint, Duration(1));
      points.push_back({rows, shape.processors_in(slice), trial.took});
    }
  }
  // A model too slow to be measured any further still has its first run: too long rather than too short.
  if (points.empty() && one_row_ > Duration::zero()) {
    points.push_back({1, shape.processors_in(slices.front()), one_row_});
  }
  return points;
}

void Measurer::touch(const Slice& slice) {
  if (model_.warm_when_homed() || !runs() || one_row_ > longest_probe(slice, false)) return;
  const TrialRun trial = run_rows(slice, 1, one_row_, 1);
  if (!trial.status.ok()) {
    log(LogLevel::kWarning, "a first run failed",
        {{"model", config_.name}, {"reason", trial.status.error().message()}});
  }
}

Status Measurer::run_warmup(const ModelFolder& folder, const Slice& slice) {
  for (const WarmupSample& sample : config_.warmup) {
    TESSERA_ASSIGN_OR_RETURN(SyntheticBatch made, warmup_batch(sample, folder, config_.params.buckets));
    Duration expected = std::max(one_row_, kUnknownRun);
    for (std::uint32_t i = 0; i < sample.count; ++i) {
      const TrialRun trial = run(slice, made.batch(), expected, 1);
      if (!trial.status.ok()) return trial.status.error().in("model_warmup '" + sample.name + "'");
      expected = trial.took;
    }
  }
  return ok_status();
}

}  // namespace tessera::model
