#include "model/loader.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "model/digest.h"
#include "model_config.pb.h"

namespace tessera::model {
namespace {

constexpr Duration kHashStep = std::chrono::milliseconds(50);
constexpr Duration kCaptureStep = std::chrono::milliseconds(50);  // of what is built already, with runs to measure it

// Where it was measured; what runs uncaptured takes other times.
std::string describe(const device::Device& device, const Instance& instance) {
  const DeviceShape& shape = device.shape();
  std::string text = shape.name + " [";
  for (const std::uint16_t processors : shape.processors) text += std::to_string(processors) + " ";
  text.back() = ']';
  return text + " " + device.hardware() + (instance.config.uncaptured.empty() ? "" : " uncaptured");
}

Result<std::map<std::string, std::vector<std::string>>> read_all_labels(const ModelFolder& folder,
                                                                        const ModelConfig& config) {
  std::map<std::string, std::vector<std::string>> labels;
  for (const auto& [output, file] : config.label_files) {
    TESSERA_ASSIGN_OR_RETURN(labels[output], read_labels(folder, file));
  }
  return labels;
}

// The smallest, the largest and one between.
std::vector<std::int32_t> sizes_of(const std::vector<PlanKey>& plans) {
  std::vector<std::int32_t> all;
  for (const PlanKey& plan : plans) {
    if (all.empty() || all.back() != plan.bucket) all.push_back(plan.bucket);
  }
  std::vector<std::int32_t> sizes{all.front()};
  if (all.size() > 1) sizes.push_back(all.back());
  if (all.size() > 2) sizes.push_back(all[all.size() / 2]);
  return sizes;
}

bool same(const Instance& a, const Instance& b) {
  return a.digest == b.digest && a.labels == b.labels && config_json(*a.config.proto) == config_json(*b.config.proto) &&
         a.config.params.slo == b.config.params.slo;
}

// What was written, with the model file's name, and without a batch dimension where `single`.
WrittenConfig with_file(const WrittenConfig& written, const std::string& file, bool single) {
  auto proto = std::make_shared<inference::ModelConfig>(*written.proto);
  proto->set_default_model_filename(file);
  return {std::move(proto), written.says_batch_size || single};
}

}  // namespace

Status Loader::step(Duration expected, const std::function<Status()>& work) {
  return step_in(host_.device().shape().loader, expected, work);
}

Status Loader::step_in(const Slice& slice, Duration expected, const std::function<Status()>& work) {
  if (stopped_.load()) return unavailable("the server is stopping");
  return host_.with_borrowed(slice, expected, work);
}

Status Loader::inspect(const ModelSource& source, std::int64_t version, Files& files) {
  TESSERA_ASSIGN_OR_RETURN(files.found, find_version(source.folder, version, source.files.default_model_file));
  if (auto known = inspections_.find(files.found)) {
    static_cast<Inspection&>(files) = *std::move(known);
    return ok_status();
  }
  TESSERA_RETURN_IF_ERROR(step(kUnknownStep, [&]() -> Status {
    TESSERA_ASSIGN_OR_RETURN(files.signature, engine_.inspect(files.found.model));
    return ok_status();
  }));
  TESSERA_RETURN_IF_ERROR(add_external(files.signature.external_data, files.found));
  TESSERA_ASSIGN_OR_RETURN(files.digest, hash(files));
  if (unchanged(files.found.stamps)) inspections_.keep(files);
  return ok_status();
}

Result<std::string> Loader::hash(const Files& files) {
  Sha256 sum;
  for (const FileStamp& file : files.found.stamps) {
    sum.add_text(std::to_string(file.size));
    TESSERA_RETURN_IF_ERROR(read_pieces(file, kHashPiece, [&](std::span<const std::byte> piece) {
      return step(kHashStep, [&] {
        sum.add(piece);
        return ok_status();
      });
    }));
  }
  for (const std::string& location : files.signature.external_data) sum.add_text(location);
  return sum.finish();
}

Result<LoadedVersion> Loader::load(const ModelSource& source, std::int64_t version, const Instance* serving,
                                   bool alone) {
  std::string path;
  for (int attempt = 0; attempt < kLoadAttempts; ++attempt) {
    Files files;
    const Status inspected = inspect(source, version, files);
    path = files.found.model.string();
    Result<LoadedVersion> loaded =
        inspected.ok() ? load_with(source, version, serving, alone, files) : Result<LoadedVersion>(inspected.error());
    // Whatever came out of files that are others by now counts for nothing.
    if (stopped_.load() || unchanged(files.found.stamps)) return loaded;
  }
  return unavailable("'" + path + "' and its data kept changing while they were loaded");
}

Result<LoadedVersion> Loader::load_with(const ModelSource& source, std::int64_t version, const Instance* serving,
                                        bool alone, Files& files) {
  const std::string file = files.found.model.filename();
  auto loaded = load_once(source, with_file(source.written, file, false), version, serving, alone, files);
  if (!loaded.ok() && files.single) {
    log(LogLevel::kWarning, "the model does not batch although its file looks so",
        {{"model", source.folder.name}, {"reason", loaded.error().message()}});
    loaded = load_once(source, with_file(source.written, file, true), version, serving, alone, files);
  }
  return loaded;
}

Result<LoadedVersion> Loader::load_once(const ModelSource& source, const WrittenConfig& written, std::int64_t version,
                                        const Instance* serving, bool alone, Files& files) {
  auto instance = std::make_shared<Instance>();
  instance->name = source.folder.name;
  instance->version = version;
  TESSERA_ASSIGN_OR_RETURN(instance->config, complete_config(source.folder.name, written, files.signature, defaults_));
  instance->signature = instance->config.signature;
  TESSERA_ASSIGN_OR_RETURN(instance->labels, read_all_labels(source.folder, instance->config));
  Sha256 sum;
  for (const std::string& part : {files.digest, engine_.name(), engine_.version(),
                                  std::to_string(instance->signature.max_batch_size), instance->config.determinism}) {
    sum.add_text(part);
  }
  if (const auto shapes = instance->config.proto->parameters().find("shape_buckets");
      shapes != instance->config.proto->parameters().end()) {
    sum.add_text(shapes->second.string_value());  // what is measured and captured
  }
  instance->digest = sum.finish();
  if (serving != nullptr && same(*instance, *serving)) return LoadedVersion{};

  instance->id = host_.next_instance_id();
  LoadedVersion loaded;
  loaded.brought = source.brought;
  const bool guessed =
      !written.says_batch_size && written.proto->max_batch_size() == 0 && instance->signature.max_batch_size > 1;
  Status ready = make_ready(files, guessed, std::nullopt, *instance, loaded);
  if (!ready.ok() && ready.error().code() == ErrorCode::kUnsupported && engine_.captures()) {
    ready = make_ready_uncaptured(files, guessed, ready.error(), *instance, loaded);
  }
  // A batch dimension that nobody asked for may be none after all.
  const auto failed = [&](const Error& error) {
    const ErrorCode code = error.code();
    files.single = guessed && instance->config.shape_buckets.empty() && code != ErrorCode::kUnavailable &&
                   code != ErrorCode::kDeviceLost && code != ErrorCode::kOutOfMemory;
    return error;
  };
  if (!ready.ok()) return failed(ready.error());
  loaded.profile_key = {instance->digest, describe(host_.device(), *instance),
                        engine_.name() + " " + engine_.version() + " " + engine_.options()};
  loaded.instance = instance;
  const Status fit = warm_and_measure(source, alone, loaded);
  if (fit.ok()) return loaded;
  return failed(fit.error());
}

Status Loader::warm_and_measure(const ModelSource& source, bool alone, LoadedVersion& loaded) {
  // The smallest of the slices holds up the fewest.
  const Slice& slice = loaded.homed.back();
  TESSERA_RETURN_IF_ERROR(loaded.measurer->first_run(slice));
  const std::int32_t most = loaded.captured.back().bucket;
  if (const Status fits = loaded.measurer->try_rows(slice, most); !fits.ok()) {
    return fits.error().in("max_batch_size: one row runs, " + std::to_string(most) + " do not");
  }
  TESSERA_RETURN_IF_ERROR(loaded.measurer->run_warmup(source.folder, slice));
  if (auto kept = profiles_.load(loaded.profile_key)) {
    loaded.profile = sched::Profile(*kept);
    loaded.profile_kept = true;
    return ok_status();
  }
  const std::vector<Slice> slices(loaded.homed.rbegin(), loaded.homed.rend());
  loaded.points = loaded.measurer->measure(slices, sizes_of(loaded.captured), alone);
  if (stopped_.load()) return unavailable("the server is stopping");  // too few to be kept
  if (loaded.to_capture.empty()) profiles_.save(loaded.profile_key, loaded.points);
  loaded.profile = sched::Profile(loaded.points);
  return ok_status();
}

void Loader::capture_next(LoadedVersion& version) {
  TESSERA_CHECK(!version.to_capture.empty());
  const PlanKey plan = version.to_capture.front();
  version.to_capture.erase(version.to_capture.begin());
  const bool again = std::find(version.captured.begin(), version.captured.end(), plan) != version.captured.end();
  Status made = capture_beside(version, plan, again);
  if (again && !made.ok() && !stopped_.load() && made.error().code() != ErrorCode::kDeviceLost) {
    log(LogLevel::kInfo, "a batch size stays as it was published",
        {{"model", version.instance->name},
         {"batch_size", std::int64_t{plan.bucket}},
         {"reason", made.error().message()}});
    made = ok_status();
  }
  if (made.ok()) {
    if (version.to_capture.empty()) {
      if (!version.profile_kept) profiles_.save(version.profile_key, version.points);
      log(LogLevel::kInfo, "all batch sizes are ready",
          {{"model", version.instance->name}, {"version", version.instance->version}});
    }
    return;
  }
  if (stopped_.load() || made.error().code() == ErrorCode::kDeviceLost) {
    end_growth(version, made.error().message());
    return;
  }
  log(LogLevel::kWarning, "a batch size is not made ready",
      {{"model", version.instance->name},
       {"version", version.instance->version},
       {"batch_size", std::int64_t{plan.bucket}},
       {"lane", std::int64_t{plan.lane.value}},
       {"reason", made.error().message()}});
  if (plan.lane.value == 0) {
    end_growth(version, made.error().message());
    return;
  }
  std::erase_if(version.to_capture, [&](const PlanKey& other) { return other.lane == plan.lane; });
}

void Loader::end_growth(LoadedVersion& version, const std::string& cause) {
  version.to_capture.clear();
  host_.buckets_end(*version.instance, cause);
}

// What takes longest needs no lane. The lane is borrowed last and given back first: then requests wait for it no longer
// than they have to.
Status Loader::capture_beside(LoadedVersion& version, const PlanKey& plan, bool again) {
  const Instance& instance = *version.instance;
  engine::LoadedModel& model = *instance.engine_model;
  TESSERA_RETURN_IF_ERROR(step(version.last_home, [&] { return model.build(plan.bucket); }));
  if (again && !model.outdated(plan.bucket, plan.lane)) return ok_status();
  const Slice& slice = version.homed.back();
  const Slice& loader = host_.device().shape().loader;
  const bool measures =
      !version.profile_kept && plan.lane.value == 0 && slice.first >= loader.first && slice.end() <= loader.end();
  std::optional<Duration> took;
  TESSERA_RETURN_IF_ERROR(step(kCaptureStep, [&] {
    return host_.with_lane(instance, plan.lane, [&]() -> Status {
      TESSERA_RETURN_IF_ERROR(model.capture(plan.bucket, plan.lane));
      if (measures) took = version.measurer->measure_borrowed(slice, plan.bucket);
      return ok_status();
    });
  }));
  TESSERA_RETURN_IF_ERROR(home_captured(version, plan));
  if (took) {
    const auto processors = static_cast<std::int32_t>(host_.device().shape().processors_in(slice));
    std::erase_if(version.points, [&](const auto& point) {  // of the way that is outdated
      return point.bucket == plan.bucket && point.processors == processors;
    });
    version.points.push_back({plan.bucket, processors, *took});
    host_.measured(instance, slice, plan.bucket, *took);
  }
  return ok_status();
}

Status Loader::home_captured(const LoadedVersion& version, const PlanKey& plan) {
  for (const Slice& slice : version.homed) {
    const auto homed = version.instance->engine_model->prepare_home(plan.bucket, plan.lane, slice);
    if (homed.ok()) {
      host_.plan_ready(*version.instance, slice, plan.bucket, plan.lane);
    } else if (homed.error().code() != ErrorCode::kUnsupported || slice == host_.device().shape().whole()) {
      return homed.error();
    }
  }
  return ok_status();
}

void Loader::keep_profile(const LoadedVersion& version, const sched::Profile& profile) const {
  profiles_.save(version.profile_key, profile.points());
}

}  // namespace tessera::model
