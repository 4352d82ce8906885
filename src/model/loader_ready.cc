// How a model is made ready to serve: loaded, captured or not, and homed where it is published.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "model/loader.h"

namespace tessera::model {
namespace {

constexpr int kRunsInSlo = 2;  // a request may wait for one run of its model, where that has one lane

// One of these, besides the whole device, is what a model is published with: the smallest within the loader slice, from
// the device's end.
std::vector<Slice> small_slices(const DeviceShape& shape) {
  std::vector<Slice> slices;
  for (const Slice& slice : shape.ladder) {
    if (slice.first >= shape.loader.first && slice.end() <= shape.loader.end()) slices.push_back(slice);
  }
  std::stable_sort(slices.begin(), slices.end(), [](const Slice& a, const Slice& b) {
    return a.count != b.count ? a.count < b.count : a.first > b.first;
  });
  if (slices.empty()) slices.push_back(shape.ladder.front());
  return slices;
}

// One of each size, smallest first, beside the loader slice; where there is no room beside it, of all.
std::vector<Slice> slices_beside_loader(const DeviceShape& shape) {
  std::vector<Slice> slices;
  for (const bool beside : {true, false}) {
    for (const Slice& slice : shape.ladder) {
      const bool there =
          std::any_of(slices.begin(), slices.end(), [&](const Slice& s) { return s.count == slice.count; });
      if (!there && !(beside && slice.overlaps(shape.loader))) slices.push_back(slice);
    }
    if (!slices.empty()) break;
  }
  std::sort(slices.begin(), slices.end(), [](const Slice& a, const Slice& b) { return a.count < b.count; });
  return slices;
}

// The first that is as large as the loader slice, where nothing says how large it has to be.
std::size_t usual_size(const std::vector<Slice>& slices, const DeviceShape& shape) {
  std::size_t at = 0;
  while (at + 1 < slices.size() && slices[at].count < shape.loader.count) ++at;
  return at;
}

std::vector<Slice> other_slices(const DeviceShape& shape, const std::vector<Slice>& homed) {
  std::vector<Slice> rest;
  for (const Slice& slice : shape.ladder) {
    if (std::find(homed.begin(), homed.end(), slice) == homed.end()) rest.push_back(slice);
  }
  return rest;
}

Status check_memory(const engine::LoadedModel& model, const ModelConfig& config, std::size_t homes) {
  const engine::MemoryUse use = model.memory();
  const std::uint64_t total = use.held().value + use.per_home.value * homes;
  if (config.memory_limit && total > config.memory_limit->value) {
    return invalid_argument("parameters.memory_limit_mb: weights and " + std::to_string(homes) + " slices take " +
                            std::to_string((total + (1 << 20) - 1) >> 20) + " MB");
  }
  return ok_status();
}

}  // namespace

Status Loader::load_engine(const Files& files, const std::optional<Slice>& uncaptured_in, Instance& instance,
                           Duration& took) {
  engine::LoadOptions options;
  options.file = files.found.model;
  options.digest = instance.digest;
  options.signature = files.signature;
  options.max_batch_size = instance.signature.max_batch_size;
  options.lanes = instance.config.params.lanes;
  options.cache_dir = cache_dir_;
  options.memory_limit = instance.config.memory_limit;
  options.timed_choices = instance.config.determinism == "off";
  options.uncaptured_in = uncaptured_in;
  options.input_forms = instance.config.input_forms;
  if (engine_.captures()) options.shapes = shapes_in_file(instance.config, files.signature);
  const TimePoint begin = now();
  TESSERA_RETURN_IF_ERROR(step(kUnknownStep, [&]() -> Status {
    TESSERA_ASSIGN_OR_RETURN(instance.engine_model, engine_.load(options));
    return ok_status();
  }));
  took = now() - begin;
  return ok_status();
}

Status Loader::home(const LoadedVersion& loaded, const Instance& instance, const Slice& slice, Duration& took) {
  engine::LoadedModel& model = *instance.engine_model;
  for (const PlanKey& plan : loaded.captured) {
    TESSERA_RETURN_IF_ERROR(prepare(model, plan.bucket, plan.lane, slice, took));
    if (model.one_plan_per_slice()) return ok_status();
  }
  return ok_status();
}

// What is heavy takes the loader slice, or the only one there is for the model, one step at a time.
Status Loader::prepare(engine::LoadedModel& model, std::int32_t bucket, LaneIndex lane, const Slice& slice,
                       Duration& took) {
  const bool captures = model.homes_cheaply();
  const Slice where = model.only_slice().value_or(host_.device().shape().loader);
  Duration one{0};
  TESSERA_RETURN_IF_ERROR(step_in(where, took, [&]() -> Status {
    const TimePoint begin = now();
    if (captures) {
      TESSERA_RETURN_IF_ERROR(model.capture(bucket, lane));
    } else {
      TESSERA_RETURN_IF_ERROR(model.prepare_home(bucket, lane, slice));
    }
    one = now() - begin;
    return ok_status();
  }));
  took = one;
  if (captures) {
    TESSERA_RETURN_IF_ERROR(model.prepare_home(bucket, lane, slice));
  }
  return ok_status();
}

// Loads it, and prepares what it is published with.
Status Loader::make_ready(const Files& files, bool guessed, const std::optional<Slice>& uncaptured_in,
                          Instance& instance, LoadedVersion& loaded) {
  loaded.measurer.reset();
  instance.engine_model.reset();
  for (auto* slices : {&loaded.homed, &loaded.to_home}) slices->clear();
  for (auto* plans : {&loaded.captured, &loaded.to_capture}) plans->clear();
  TESSERA_RETURN_IF_ERROR(load_engine(files, uncaptured_in, instance, loaded.last_home));
  plan_growth(instance, guessed, loaded);
  instance.grows = !loaded.to_capture.empty();
  if (uncaptured_in) {
    loaded.captured.resize(1);  // enough to see whether the slice will do
  }
  TESSERA_RETURN_IF_ERROR(home_first(instance, loaded));
  const engine::LoadedModel& model = *instance.engine_model;
  if (!model.homes_cheaply() && !model.only_slice()) {
    loaded.to_home = other_slices(host_.device().shape(), loaded.homed);
  }
  loaded.measurer = std::make_unique<Measurer>(host_, *instance.engine_model, instance.config, stopped_);
  return ok_status();
}

// In the smallest slice that leaves time for its objective, as a run tells; within its ceiling, where one is.
Status Loader::make_ready_uncaptured(const Files& files, bool guessed, const Error& why, Instance& instance,
                                     LoadedVersion& loaded) {
  instance.config.uncaptured = why.message();
  instance.config.params.lanes = 1;
  const DeviceShape& shape = host_.device().shape();
  const std::optional<Duration> slo = instance.config.params.slo;
  std::vector<Slice> slices = slices_beside_loader(shape);
  const double most = std::max(1.0, instance.config.params.max_share * shape.atoms());
  while (slices.size() > 1 && slices.back().count > most) slices.pop_back();
  std::size_t at = slo ? 0 : usual_size(slices, shape);
  for (;;) {
    const Status ready = make_ready(files, guessed, slices[at], instance, loaded);
    if (!ready.ok()) return ready.error().in("it cannot be captured (" + why.message() + "), nor run without");
    if (!slo || at + 1 == slices.size()) break;
    for (int run = 0; run < 2; ++run) {  // the first of a shape takes longer
      TESSERA_RETURN_IF_ERROR(loaded.measurer->first_run(slices[at]));
    }
    const Duration took = loaded.measurer->one_row() * kRunsInSlo;
    if (loaded.measurer->runs() && took <= *slo) break;
    if (!loaded.measurer->runs() && at >= usual_size(slices, shape)) break;
    const std::size_t before = at++;
    if (!loaded.measurer->runs()) at = std::max(at, usual_size(slices, shape));
    while (at + 1 < slices.size() && took * slices[before].count > *slo * slices[at].count) ++at;
  }
  loaded.captured.clear();
  plan_growth(instance, guessed, loaded);
  TESSERA_RETURN_IF_ERROR(home(loaded, instance, slices[at], loaded.last_home));
  log(LogLevel::kWarning, "a model cannot be captured: it runs kernel by kernel, in one slice",
      {{"model", instance.name},
       {"version", instance.version},
       {"first_atom", std::int64_t{slices[at].first}},
       {"atoms", std::int64_t{slices[at].count}},
       {"reason", instance.config.uncaptured}});
  return ok_status();
}

// All plans; or, where homes are cheap and answers need not keep the order of arrival, the smallest bucket in one lane
// first. Where only the file looks as if the model batches, a second one shows whether it does.
void Loader::plan_growth(const Instance& instance, bool guessed, LoadedVersion& loaded) {
  const sched::ModelParams& params = instance.config.params;
  const bool grows = instance.engine_model->homes_cheaply() && !params.preserve_ordering;
  const std::size_t first = guessed ? 2 : 1;
  for (std::size_t bucket = 0; bucket < params.buckets.size(); ++bucket) {
    for (std::uint16_t lane = 0; lane < params.lanes; ++lane) {
      const bool at_once = !grows || (lane == 0 && bucket < first);
      (at_once ? loaded.captured : loaded.to_capture).push_back({params.buckets[bucket], {lane}});
    }
  }
  // What it is published with was made in a hurry: there may be a faster way.
  if (grows) {
    loaded.to_capture.insert(loaded.to_capture.end(), loaded.captured.begin(), loaded.captured.end());
  }
}

Status Loader::home_first(const Instance& instance, LoadedVersion& loaded) {
  const DeviceShape& shape = host_.device().shape();
  const auto home_in = [&](const Slice& slice) -> Status {
    if (std::find(loaded.homed.begin(), loaded.homed.end(), slice) != loaded.homed.end()) return ok_status();
    TESSERA_RETURN_IF_ERROR(home(loaded, instance, slice, loaded.last_home));
    loaded.homed.push_back(slice);
    return check_memory(*instance.engine_model, instance.config, loaded.homed.size());
  };
  if (const auto only = instance.engine_model->only_slice()) return home_in(*only);
  TESSERA_RETURN_IF_ERROR(home_in(shape.whole()));
  for (const Slice& slice : small_slices(shape)) {
    Status homed = home_in(slice);
    // A model need not fit every slice of a device; without a small one, the whole device measures it.
    if (homed.ok() || homed.error().code() != ErrorCode::kUnsupported) return homed;
  }
  return ok_status();
}

std::optional<Slice> Loader::home_next(LoadedVersion& version) {
  TESSERA_CHECK(!version.to_home.empty());
  const Slice slice = version.to_home.front();
  version.to_home.erase(version.to_home.begin());
  engine::LoadedModel& model = *version.instance->engine_model;
  const ModelConfig& config = version.instance->config;
  Status done = check_memory(model, config, version.homed.size() + 1);
  if (done.ok()) done = home(version, *version.instance, slice, version.last_home);
  if (!done.ok() && done.error().code() == ErrorCode::kUnsupported) return std::nullopt;  // not in this slice
  if (!done.ok()) {
    if (!stopped_.load()) {
      log(LogLevel::kWarning, "the model keeps the slices it has",
          {{"model", config.name}, {"version", version.instance->version}, {"reason", done.error().message()}});
    }
    version.to_home.clear();
    return std::nullopt;
  }
  version.homed.push_back(slice);
  version.measurer->touch(slice);
  return slice;
}

}  // namespace tessera::model
