// Models that leave a device for want of memory, and come back at their next request.
#include <algorithm>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/lifecycle_state.h"

namespace tessera::model {
namespace {

// How long a load waits, in all, for a model that may leave to become idle.
constexpr Duration kIdleWait = std::chrono::milliseconds(500);
// How long a model that left is waited for by whoever still holds it: an answer that is on its way out.
constexpr Duration kHeldWait = std::chrono::milliseconds(500);
// How often either is looked at.
constexpr std::chrono::microseconds kPoll{500};

Error no_room(const Error& error, bool asked_others) {
  return {error.code(), error.message() +
                            (asked_others ? "; no model marked 'evictable' was idle within 0.5 s"
                                          : "; no other model on the device is marked 'evictable'") +
                            ": unload a model, mark idle ones 'evictable', or bound models by 'memory_limit_mb'"};
}

}  // namespace

Result<LoadedVersion> Lifecycle::State::load_making_room(const ModelSource& source, std::int64_t version,
                                                         const Instance* serving, bool alone) {
  TimePoint until = kNever;  // known from the first time on that memory is short
  for (;;) {
    auto loaded = loader_.load(source, version, serving, alone);
    if (loaded.ok() || loaded.error().code() != ErrorCode::kOutOfMemory || loader_.stopped()) return loaded;
    if (until == kNever) until = now() + kIdleWait;
    const std::string& name = source.folder.name;
    if (!make_room(name, until)) {
      if (loader_.stopped()) return unavailable("the server is stopping");
      const bool others = std::any_of(models_.begin(), models_.end(), [&](const auto& other) {
        return other.first != name && may_leave(other.second);
      });
      return no_room(loaded.error(), others);
    }
  }
}

bool Lifecycle::State::may_leave(const Model& model) {
  return !model.serving.empty() && std::all_of(model.serving.begin(), model.serving.end(), [](const auto& version) {
    // What a request brought cannot be loaded again.
    return version.second.instance->config.evictable && version.second.brought == nullptr;
  });
}

// When the last request for any version came; nothing while one is busy.
std::optional<TimePoint> Lifecycle::State::idle_since(const Model& model) {
  TimePoint last = TimePoint::min();
  for (const auto& [number, version] : model.serving) {
    const auto since = host_.idle_since(*version.instance);
    if (!since) return std::nullopt;
    last = std::max(last, *since);
  }
  return last;
}

// Of the idle models that may leave, the least recently used one does. False: there is none, nor was there until then.
bool Lifecycle::State::make_room(const std::string& for_model, TimePoint until) {
  for (;;) {
    auto chosen = models_.end();
    TimePoint oldest = TimePoint::max();
    bool any = false;
    for (auto at = models_.begin(); at != models_.end(); ++at) {
      if (at->first == for_model || !may_leave(at->second)) continue;
      any = true;
      if (const auto since = idle_since(at->second); since && *since < oldest) {
        oldest = *since;
        chosen = at;
      }
    }
    if (chosen != models_.end()) {
      log(LogLevel::kInfo, "an idle model makes room",
          {{"model", chosen->first},
           {"for", for_model},
           {"device", device()},
           {"seconds_idle", std::chrono::duration<double>(now() - oldest).count()}});
      set_aside(chosen->first, chosen->second);
      return true;
    }
    if (!any || now() >= until || loader_.stopped()) return false;
    std::this_thread::sleep_for(kPoll);
  }
}

void Lifecycle::State::set_aside(const std::string& name, Model& model) {
  for (auto& [number, version] : model.serving) {
    index_.set(name, number, VersionState::kReady, std::string(kSetAside));
    loader_.keep_profile(version, host_.set_aside(*version.instance));
    model.aside.insert(number);
    // Its memory is free once this is the last to hold it.
    const TimePoint end = now() + kHeldWait;
    while (version.instance.use_count() > 1 && now() < end) std::this_thread::sleep_for(kPoll);
  }
  model.serving.clear();
}

void Lifecycle::State::bring_back(const std::string& name) {
  const auto known = models_.find(name);
  if (known == models_.end() || known->second.aside.empty()) {
    host_.end_aside(name, ok_status());  // a load that was asked for otherwise came first
    return;
  }
  const LoadRequest again = known->second.again;
  static_cast<void>(load(again).ok());  // failures are logged, in the index, and told to those who wait
}

// A model of which versions were set aside has been loaded, or not.
void Lifecycle::State::settle_aside(const std::string& name, const Status& loaded) {
  const auto known = models_.find(name);
  if (loaded.ok()) {
    if (known != models_.end()) {
      for (const std::int64_t version : std::exchange(known->second.aside, {})) {
        index_.set(name, version, VersionState::kUnavailable, "version is not selected any more");
      }
    }
    host_.end_aside(name, ok_status());
    return;
  }
  TESSERA_CHECK(known != models_.end());  // what is set aside is known
  for (const std::int64_t version : known->second.aside) {
    index_.set(name, version, VersionState::kReady,
               std::string(kSetAside) + "; the last attempt failed: " + loaded.error().message());
  }
  host_.return_failed(name, loaded.error());
}

void Lifecycle::State::drop_aside(const std::string& name, Model& model, const std::string& reason) {
  if (model.aside.empty()) return;
  for (const std::int64_t version : model.aside) index_.set(name, version, VersionState::kUnavailable, reason);
  model.aside.clear();
  host_.end_aside(name, unavailable("model '" + name + "' " + (reason == "unloaded" ? "was unloaded" : reason)));
}

}  // namespace tessera::model
