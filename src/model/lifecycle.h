// The lives of all models: scan, load, warm, profile, publish, drain, unload.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "model/config.h"
#include "model/host.h"

namespace tessera::model {

inline constexpr std::size_t kMaxWaitingLoads = 1024;

enum class ControlMode { kNone, kPoll, kExplicit };

struct LifecycleOptions {
  std::vector<std::filesystem::path> repositories;
  ControlMode control = ControlMode::kNone;
  std::vector<std::string> load_at_start;  // explicit mode; "*" alone: all
  std::chrono::seconds poll_interval{15};
  std::filesystem::path cache_dir;  // profiles and optimised models; empty: keep nothing
  ConfigDefaults defaults;
};

struct IndexEntry {
  std::string name;
  std::string version;  // empty where none was ever loaded
  std::string state;    // "READY", "UNAVAILABLE", "LOADING", "UNLOADING"
  std::string reason;
};

struct LoadRequest {
  std::string name;
  std::optional<std::string> config_json;    // overrides config.pbtxt
  std::map<std::string, std::string> files;  // "<version>/<file name>" -> content; only with config_json
};

// Thread-safe. Owns the loader thread; every load and unload happens there, one at a time and in the order asked.
class Lifecycle {
 public:
  Lifecycle(LifecycleOptions options, Host& host, engine::Engine& engine);
  ~Lifecycle();  // unloads everything and joins the thread
  Lifecycle(const Lifecycle&) = delete;
  Lifecycle& operator=(const Lifecycle&) = delete;

  // Loads what the control mode says; returns when all of it is ready or has failed, or at once at stop_loading().
  // Error: the first failure (the others are in the index as well).
  Status start();

  // The load in progress fails at its next step, all that wait or come fail at once; what serves goes on.
  void stop_loading();
  // After stop_loading(): whether the loader thread's last step ended within `limit`. While it has not, the destructor
  // waits for it, as a step cannot be interrupted.
  bool loading_ended(std::chrono::milliseconds limit);

  // `done` is called once, on the loader thread; where the queue is full (kMaxWaitingLoads) or the server stops, on the
  // calling one. A failed load leaves the old version serving. Of several versions each is swapped by itself; those
  // that are not selected any more go when all others are there.
  void load(LoadRequest request, std::function<void(Status)> done);
  void unload(std::string name, std::function<void(Status)> done);

  std::vector<IndexEntry> index() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace tessera::model
