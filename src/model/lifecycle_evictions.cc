// Where a load finds too little memory on its device, idle models that may be evicted make room; they come back at
// their next request.
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "model/lifecycle_state.h"

namespace tessera::model {

// The version that was asked for least recently leaves. False: nobody can.
bool Lifecycle::State::make_room(const std::string& name) {
  std::multimap<TimePoint, LoadedVersion*> idle;
  for (auto& [other, model] : models_) {
    for (auto& [number, version] : model.serving) {
      const bool may_leave =
          version.instance->config.evictable && version.instance->engine_model != nullptr && version.complete();
      if (const auto since = may_leave && other != name ? host_.idle_since(*version.instance) : std::nullopt) {
        idle.emplace(*since, &version);
      }
    }
  }
  for (const auto& [since, version] : idle) {
    const Instance& instance = *version->instance;
    if (!host_.evict(instance)) continue;  // a request came just now
    Loader::evict(*version);
    index_.set(instance.name, instance.version, VersionState::kEvicted,
               "evicted for '" + name + "': comes back at its next request");
    log(LogLevel::kInfo, "model evicted",
        {{"model", instance.name}, {"version", instance.version}, {"device", device()}, {"for", name}});
    return true;
  }
  return false;
}

LoadedVersion* Lifecycle::State::find_evicted(InstanceId instance) {
  for (auto& [name, model] : models_) {
    for (auto& [number, version] : model.serving) {
      if (version.instance->id == instance && version.instance->engine_model == nullptr) return &version;
    }
  }
  return nullptr;
}

Status Lifecycle::State::bring_back(InstanceId instance) {
  LoadedVersion* version = find_evicted(instance);
  if (version == nullptr) return ok_status();  // replaced or unloaded meanwhile, and what waited is answered
  TESSERA_RETURN_IF_ERROR(held_up());
  const TimePoint begin = now();
  const std::string& name = version->instance->name;
  TESSERA_RETURN_IF_ERROR(with_room(name, [&] { return loader_.bring_back(*version); }));
  for (const Slice& slice : version->homed) host_.slice_ready(*version->instance, slice);
  index_.set(name, version->instance->version, VersionState::kReady);
  log(LogLevel::kInfo, "model is back",
      {{"model", name},
       {"version", version->instance->version},
       {"device", device()},
       {"seconds", std::chrono::duration<double>(now() - begin).count()}});
  return ok_status();
}

void Lifecycle::State::stay_evicted(InstanceId instance, const Error& error) {
  const LoadedVersion* version = find_evicted(instance);
  if (version == nullptr) return;
  const Instance& evicted = *version->instance;
  const std::string why = "evicted, and cannot come back: " + error.message();
  index_.set(evicted.name, evicted.version, VersionState::kEvicted, why);
  log(LogLevel::kError, "a model cannot come back",
      {{"model", evicted.name}, {"version", evicted.version}, {"device", device()}, {"reason", error.message()}});
  host_.refuse_waiting(evicted, unavailable("model '" + evicted.name + "' was " + why));
}

}  // namespace tessera::model
