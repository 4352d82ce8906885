#include <algorithm>
#include <set>

#include "base/clock.h"
#include "base/log.h"
#include "model/confined_path.h"
#include "model/lifecycle_state.h"
#include "model/live_params.h"
#include "model/model_source.h"
#include "model_config.pb.h"

namespace tessera::model {
namespace {

std::string failed(const std::string& name) {
  return "failed to load '" + name + "', failed to poll from model repository";
}

// What the model's policy says, or where others serve it, what they do. Error: that is not there any more.
Result<std::vector<std::int64_t>> wanted_versions(const ModelSource& source, const LoadRequest& request) {
  auto selected = select_versions(source.files.versions, source.folder);
  if (!selected.ok() || request.as_served.empty()) return selected;
  std::vector<std::int64_t> out;
  for (const auto& [version, digest] : request.as_served) {
    const auto& there = source.folder.versions;
    if (!std::binary_search(there.begin(), there.end(), version)) {
      return not_found("version " + std::to_string(version) +
                       " serves on other devices, and is not in its folder any more");
    }
    out.push_back(version);
  }
  return out;
}

// Of each version. What cannot be read its load complains of.
double reserved_share_of(const ModelSource& source) {
  const auto& parameters = source.written.proto->parameters();
  const auto found = parameters.find("reserved_share");
  if (found == parameters.end()) return 0;
  const auto share = param_number(found->first, found->second.string_value(), 0, 1);
  return share.ok() ? *share : 0;
}

// What is missing or too large in a model is, for who asked to load it, the model's fault.
ErrorCode for_caller(ErrorCode code) {
  return code == ErrorCode::kNotFound || code == ErrorCode::kTooLarge ? ErrorCode::kInvalidArgument : code;
}

}  // namespace

void Lifecycle::State::poll() {
  std::set<std::string> present;
  for (const auto& repository : options_.repositories) {
    const auto names = model_names(repository);
    if (!names.ok()) {
      // What cannot be read for a moment must not unload what serves.
      log(LogLevel::kWarning, "a model repository cannot be read", {{"reason", names.error().message()}});
      return;
    }
    present.insert(names->begin(), names->end());
  }
  for (const std::string& name : present) {
    if (loader_.stopped()) return;
    const auto folder = find_model(options_.repositories, name);
    const auto print = folder.ok() ? fingerprint(*folder) : Result<std::string>(folder.error());
    const std::string now_there = print.ok() ? *print : print.error().message();
    const auto known = models_.find(name);
    if (known != models_.end() && known->second.fingerprint == now_there) continue;
    static_cast<void>(load({name, std::nullopt, {}}).ok());  // failures are logged and in the index
    models_[name].fingerprint = now_there;
  }
  std::vector<std::string> gone;
  for (const auto& [name, model] : models_) {
    if (present.count(name) == 0) gone.push_back(name);
  }
  for (const std::string& name : gone) {
    if (unload(name).ok()) models_.erase(name);
  }
}

Status Lifecycle::State::load_at_start() {
  std::set<std::string> names(options_.load_at_start.begin(), options_.load_at_start.end());
  if (options_.control != ControlMode::kExplicit || names == std::set<std::string>{"*"}) {
    names.clear();
    for (const auto& repository : options_.repositories) {
      TESSERA_ASSIGN_OR_RETURN(const auto found, model_names(repository));
      names.insert(found.begin(), found.end());
    }
  } else {
    for (const auto& repository : options_.repositories) TESSERA_RETURN_IF_ERROR(model_names(repository));
  }
  Status first;
  for (const std::string& name : names) {
    if (loader_.stopped()) return unavailable("the server is stopping");
    const Status loaded = load({name, std::nullopt, {}});
    if (!loaded.ok() && first.ok()) first = loaded;
  }
  poll_from_now();
  return first;
}

Status Lifecycle::State::load(const LoadRequest& request) {
  const auto known = models_.find(request.name);
  const bool was_aside = known != models_.end() && !known->second.aside.empty();
  Status loaded = load_now(request);
  if (was_aside) settle_aside(request.name, loaded);
  return loaded;
}

Status Lifecycle::State::load_now(const LoadRequest& request) {
  TESSERA_RETURN_IF_ERROR(held_up());
  Model& model = models_[request.name];
  Status loaded = load_source(request, model);
  if (!loaded.ok() && !loader_.stopped()) {
    log(LogLevel::kError, "a load failed",
        {{"model", request.name}, {"device", device()}, {"reason", loaded.error().message()}});
  }
  // Only polling looks back at what failed.
  if (model.serving.empty() && model.aside.empty() && options_.control != ControlMode::kPoll) {
    models_.erase(request.name);
  }
  return loaded;
}

Status Lifecycle::State::load_source(const LoadRequest& request, Model& model) {
  const std::string& name = request.name;
  const auto folder = open_folder(request, options_.repositories);
  if (!folder.ok() && folder.error().code() == ErrorCode::kNotFound) {
    return Error(ErrorCode::kNotFound, failed(name));
  }
  auto source = folder.ok() ? open_source(request, *folder) : Result<ModelSource>(folder.error());
  auto versions = source.ok() ? wanted_versions(*source, request) : Result<std::vector<std::int64_t>>(source.error());
  if (const Status wish = versions.ok() ? placement_.wish(name, *source->written.proto) : ok_status(); !wish.ok()) {
    versions = wish.error();
  }
  if (!versions.ok()) {
    const Error& error = versions.error();
    if (model.serving.empty() && model.aside.empty() && is_plain_name(name))
      index_.set(name, 0, VersionState::kUnavailable, error.message());
    return Error(for_caller(error.code()), failed(name) + ": " + error.message());
  }
  if (!placement_.holds(number_, name)) {
    model.fingerprint = source->fingerprint;
    withdraw_all(name, model, "is on other devices");
    drop_aside(name, model, "is on other devices");
    return ok_status();
  }
  const double share = reserved_share_of(*source) * static_cast<double>(versions->size());
  if (const Status claimed = host_.claim_share(name, share, !request.as_served.empty()); !claimed.ok()) {
    if (model.serving.empty() && model.aside.empty()) {
      index_.set(name, versions->empty() ? 0 : versions->back(), VersionState::kUnavailable, claimed.error().message());
    }
    return claimed.error().in("load failed for model '" + name + "'");
  }
  Status loaded = load_versions(request, *source, *versions, model);
  host_.end_claim();
  return loaded;
}

Status Lifecycle::State::load_versions(const LoadRequest& request, const ModelSource& source,
                                       const std::vector<std::int64_t>& versions, Model& model) {
  const std::string& name = request.name;
  if (!source.overridden && model.settled && !model.serving.empty() && model.fingerprint == source.fingerprint) {
    for (const auto& [number, version] : model.serving) host_.reloaded(*version.instance);
    return ok_status();
  }
  model.fingerprint = source.fingerprint;
  model.settled = false;
  index_.forget_failures(name);
  std::string reasons;
  ErrorCode code = ErrorCode::kInvalidArgument;
  // The newest first: it answers the requests that name no version.
  for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
    const auto served = request.as_served.find(*version);
    const Status loaded =
        load_version(source, *version, served == request.as_served.end() ? std::string() : served->second, model);
    if (loaded.ok()) continue;
    code = for_caller(loaded.error().code());
    reasons += (reasons.empty() ? "" : "; ") + ("version " + std::to_string(*version)) +
               " is at UNAVAILABLE state: " + loaded.error().message();
  }
  if (!reasons.empty()) return Error(code, "load failed for model '" + name + "': " + reasons);
  for (auto at = model.serving.begin(); at != model.serving.end();) {
    if (std::binary_search(versions.begin(), versions.end(), at->first)) {
      ++at;
    } else {
      withdraw(name, at->second, "version is not selected any more");
      at = model.serving.erase(at);
    }
  }
  model.settled = !source.overridden;
  if (!request.as_served.empty() && select_versions(source.files.versions, source.folder).value() != versions) {
    model.fingerprint.clear();  // polling finds what others do not serve yet
  }
  model.again = {name, source.brought ? std::nullopt : request.config_json, {}};
  return ok_status();
}

// `digest`: what the version has to have; empty: any.
Status Lifecycle::State::load_version(const ModelSource& source, std::int64_t version, const std::string& digest,
                                      Model& model) {
  const std::string& name = source.folder.name;
  const auto old = model.serving.find(version);
  const bool serves = old != model.serving.end();
  const bool returns = model.aside.contains(version);
  if (returns) {
    index_.set(name, version, VersionState::kReady, std::string(kReturning));
  } else if (!serves) {
    index_.set(name, version, VersionState::kLoading);
  }
  const TimePoint begin = now();
  const bool alone =
      std::all_of(models_.begin(), models_.end(), [](const auto& m) { return m.second.serving.empty(); });
  auto loaded = load_making_room(source, version, serves ? old->second.instance.get() : nullptr, alone);
  if (loaded.ok() && loaded->instance == nullptr) {
    host_.reloaded(*old->second.instance);
    return ok_status();
  }
  if (loaded.ok() && !digest.empty() && loaded->instance->digest != digest) {
    loaded = unavailable("its files are others than those that serve on other devices: load the model again");
  }
  Status published = loaded.ok() ? host_.publish(loaded->instance, loaded->profile) : Status(loaded.error());
  if (!published.ok()) {
    if (!serves && !returns) index_.set(name, version, VersionState::kUnavailable, published.error().message());
    return published;
  }
  publish_plans(*loaded);
  model.aside.erase(version);
  index_.set(name, version, VersionState::kReady);
  log(LogLevel::kInfo, "model ready",
      {{"model", name},
       {"version", version},
       {"device", device()},
       {"max_batch_size", std::int64_t{loaded->instance->signature.max_batch_size}},
       {"largest_batch_so_far", std::int64_t{loaded->captured.back().bucket}},
       {"digest", loaded->instance->digest.substr(0, 16)},
       {"seconds", std::chrono::duration<double>(now() - begin).count()}});
  if (serves) {
    const sched::Profile learned = host_.withdraw(*old->second.instance);
    loader_.keep_profile(old->second, learned);
    old->second = std::move(*loaded);
  } else {
    model.serving.emplace(version, std::move(*loaded));
  }
  return ok_status();
}

void Lifecycle::State::publish_plans(const LoadedVersion& loaded) {
  for (const Slice& slice : loaded.homed) {
    if (!loaded.instance->grows) {
      host_.slice_ready(*loaded.instance, slice);
      continue;
    }
    for (const PlanKey& plan : loaded.captured) {
      host_.plan_ready(*loaded.instance, slice, plan.bucket, plan.lane);
    }
  }
}

void Lifecycle::State::withdraw(const std::string& name, LoadedVersion& version, const std::string& reason) {
  index_.set(name, version.instance->version, VersionState::kUnloading);
  loader_.keep_profile(version, host_.withdraw(*version.instance));
  index_.set(name, version.instance->version, VersionState::kUnavailable, reason);
}

void Lifecycle::State::withdraw_all(const std::string& name, Model& model, const std::string& reason) {
  for (auto& [number, version] : model.serving) withdraw(name, version, reason);
  model.serving.clear();
}

// Unloading would wait for what does not end, and so may what frees a card's memory.
Status Lifecycle::State::held_up() {
  const std::lock_guard lock(mutex_);
  if (stuck_.empty()) return ok_status();
  return unavailable("nothing is loaded or unloaded until the server starts anew: " + stuck_.begin()->second);
}

Status Lifecycle::State::unload(const std::string& name) {
  TESSERA_RETURN_IF_ERROR(held_up());
  const auto known = models_.find(name);
  if (known == models_.end()) return ok_status();
  withdraw_all(name, known->second, "unloaded");
  drop_aside(name, known->second, "unloaded");
  models_.erase(known);
  return ok_status();
}

}  // namespace tessera::model
