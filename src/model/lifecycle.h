// The lives of all models: scan, load, warm, profile, publish, drain, unload.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/growing.h"
#include "base/result.h"
#include "device/device.h"
#include "engine/engine.h"
#include "model/config.h"
#include "model/host.h"

namespace tessera::model {

class Inspections;
class Placement;

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
  // Only these versions, and only of files with these digests, as others serve them; empty: what there is.
  std::map<std::int64_t, std::string> as_served{};
};

// A device that models live on: what serves there, and what makes its plans.
struct Place {
  Host& host;
  engine::Engine& engine;
};

// What a device that joins others asks of them, on its loader thread.
struct Joining {
  std::function<std::vector<std::shared_ptr<const Instance>>()> served;  // what they serve now
  std::function<void(const std::string& model)> loaded;                  // the model serves here as well
};

// Thread-safe. Owns a loader thread for each device; every load and unload of a device happens there, one at a time and
// in the order asked. What is asked is done on every device that is to hold the model (placement.h), on all of them at
// once: a model serves from its first replica on, and a load has gone well where one replica has.
class Lifecycle {
 public:
  Lifecycle(const LifecycleOptions& options, const std::vector<Place>& places);
  Lifecycle(const LifecycleOptions& options, Host& host, engine::Engine& engine);
  ~Lifecycle();  // unloads everything and joins the threads
  Lifecycle(const Lifecycle&) = delete;
  Lifecycle& operator=(const Lifecycle&) = delete;

  // Loads what the control mode says; returns when all of it is ready or has failed, or at once at stop_loading().
  // Error: the first failure (the others are in the index as well).
  Status start();

  // One more device, in the next place, while others serve: the versions that they serve are loaded on it where it is
  // to hold them, and then what is asked of all. `done` is called once, on its loader thread, with the first failure;
  // where the server stops, on the calling one. One call at a time, after start(). May throw where no thread can be
  // had.
  void add(const Place& place, Joining others, const std::function<void(Status)>& done);

  // The device, by its place, is gone for good: what only it served is loaded on the others. Returns at once; does
  // nothing where it is said again.
  void device_lost(std::size_t place);
  // Whether everything that lost devices served is served by others, or was unloaded since.
  bool all_moved() const;

  // A batch of that version does not end on the device: there the version is unavailable, and nothing is loaded or
  // unloaded until it has ended after all. Both return at once.
  void stuck(std::size_t place, const std::string& name, std::int64_t version, const std::string& why);
  void stuck_ended(std::size_t place, const std::string& name, std::int64_t version);

  // A model that the device has set aside (Host::set_aside) is loaded again, in the order of what was asked. Returns at
  // once; the host hears how it ended.
  void bring_back(std::size_t place, const std::string& name);

  // The load in progress fails at its next step, all that wait or come fail at once; what serves goes on.
  void stop_loading();
  // After stop_loading(): whether the loader threads' last steps ended within `limit`. While it has not, the destructor
  // waits for it, as a step cannot be interrupted.
  bool loading_ended(std::chrono::milliseconds limit);

  // `done` is called once, on the last loader thread that has to do with it; where the queue is full (kMaxWaitingLoads)
  // or the server stops, on the calling one. A failed load leaves the old version serving. Of several versions each is
  // swapped by itself; those that are not selected any more go when all others are there.
  void load(LoadRequest request, std::function<void(Status)> done);
  void unload(const std::string& name, std::function<void(Status)> done);

  // Whether, within `limit`, nothing was left to load and every plan had come that models get while they serve.
  bool settled(std::chrono::milliseconds limit);

  std::vector<IndexEntry> index() const;

 private:
  class State;

  // What was asked of all devices and has not been answered by all.
  struct Asked {
    std::function<Status(State&)> work;
  };

  std::vector<State*> left() const;
  Status join(State& state, const Joining& others);
  void everywhere(const std::string& name, std::function<Status(State&)> work,
                  std::function<void(const Status&)> settle, std::function<void(Status)> done);
  void remember(const std::shared_ptr<const LoadRequest>& request);
  void forget(const std::string& name);
  void moved(const std::string& name);

  const LifecycleOptions options_;
  const std::unique_ptr<Placement> placement_;
  const std::unique_ptr<Inspections> inspections_;
  std::mutex order_;          // held while several devices are asked, so that all are in one order; before mutex_
  bool stopping_ = false;     // guarded by order_
  mutable std::mutex mutex_;  // guards what is below but states_
  std::vector<std::shared_ptr<const Asked>> under_way_;  // in the order asked
  std::vector<bool> lost_;
  std::set<std::string> moving_;                                          // what only lost devices served
  std::map<std::string, std::shared_ptr<const LoadRequest>> overridden_;  // how to load again what is not as it lies
  std::set<std::string> brought_;                                         // what cannot be loaded again

  Growing<State, device::kMaxDevices> states_;  // by place; last: their threads use all of the above
};

}  // namespace tessera::model
