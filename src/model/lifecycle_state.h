// The queue and the loader thread of one device, behind Lifecycle. Internal to model/.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/lifecycle.h"
#include "model/loader.h"
#include "model/placement.h"
#include "model/version_index.h"

namespace tessera::model {

// What the index says of a version that is set aside, which is READY as for clients it is.
inline constexpr std::string_view kSetAside = "set aside for want of memory: comes back at its next request";
inline constexpr std::string_view kReturning = "is loaded again: requests for it wait";

// The queue belongs to all, models_ and what is done to them to the loader thread.
class Lifecycle::State {
 public:
  struct Command {
    std::function<Status()> work;
    std::function<void(Status)> done;
  };

  State(LifecycleOptions options, std::size_t number, const Place& place, Placement& placement,
        Inspections& inspections)
      : options_(with_engine(std::move(options), place.engine)),
        number_(number),
        host_(place.host),
        placement_(placement),
        loader_(host_, place.engine, inspections, options_.defaults, options_.cache_dir),
        thread_([this] { run(); }) {}

  ~State() { end(); }

  // Ends the loader thread, whose last callbacks look at what all devices serve: so of all before any is destroyed.
  void end() {
    if (!thread_.joinable()) return;
    stop_loading();
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  // Any thread.
  Status start();
  void stop_loading();
  bool loading_ended(std::chrono::milliseconds limit);
  bool settled(TimePoint until);
  void stuck(const std::string& name, std::int64_t version, const std::string& why);
  void stuck_ended(const std::string& name, std::int64_t version);

  // Error, through `done`, on the calling thread: the queue is full, or the server is stopping.
  void post(Command command);
  [[nodiscard]] Status try_post(Command& command);  // a refused one stays with the caller

  const LifecycleOptions& options() const { return options_; }
  std::size_t number() const { return number_; }
  const std::string& device() const { return host_.device().shape().name; }
  const VersionIndex& index() const { return index_; }

  Status load(const LoadRequest& request);
  Status unload(const std::string& name);
  void poll_from_now() {
    if (options_.control == ControlMode::kPoll) next_poll_ = now() + options_.poll_interval;
  }
  void bring_back(const std::string& name);
  void cannot_bring_back(const std::string& name, const Error& error) {
    host_.return_failed(name, error);
  }  // any thread

 private:
  // What is known of one model. Owned by the loader thread.
  struct Model {
    std::map<std::int64_t, LoadedVersion> serving;
    std::string fingerprint;       // of the folder at the last attempt, whether it went well or not
    bool settled = false;          // that attempt went well, and took the repository's own configuration
    std::set<std::int64_t> aside;  // versions that left for want of memory
    LoadRequest again;             // how those are loaded
  };

  static LifecycleOptions with_engine(LifecycleOptions options, const engine::Engine& engine) {
    options.defaults.engine = engine.name();
    return options;
  }

  void run();
  Status load_at_start();
  std::optional<Command> next();
  void rest(std::unique_lock<std::mutex>& lock);
  bool has_background_work() const;
  void grow_one();
  bool capture_one();
  void home_one();
  void poll();
  void stop_all();

  Status load_now(const LoadRequest& request);
  Status load_source(const LoadRequest& request, Model& model);
  Status load_versions(const LoadRequest& request, const ModelSource& source, const std::vector<std::int64_t>& versions,
                       Model& model);
  Status load_version(const ModelSource& source, std::int64_t version, const std::string& digest, Model& model);
  void publish_plans(const LoadedVersion& loaded);
  Status held_up();

  // Models that leave and come back: lifecycle_aside.cc.
  Result<LoadedVersion> load_making_room(const ModelSource& source, std::int64_t version, const Instance* serving,
                                         bool alone);
  bool make_room(const std::string& for_model, TimePoint until);
  static bool may_leave(const Model& model);
  std::optional<TimePoint> idle_since(const Model& model);
  void set_aside(const std::string& name, Model& model);
  void settle_aside(const std::string& name, const Status& loaded);
  void drop_aside(const std::string& name, Model& model, const std::string& reason);
  void withdraw_all(const std::string& name, Model& model, const std::string& reason);
  void withdraw(const std::string& name, LoadedVersion& version, const std::string& reason);

  const LifecycleOptions options_;
  const std::size_t number_;  // of the device
  Host& host_;
  Placement& placement_;
  Loader loader_;
  VersionIndex index_;

  std::mutex mutex_;  // guards commands_ and the five below
  std::condition_variable changed_;
  std::deque<Command> commands_;
  std::map<std::pair<std::string, std::int64_t>, std::string> stuck_;  // versions of which a batch does not end: why
  bool idle_ = false;                                                  // the loader thread has nothing to do
  bool stopping_ = false;                                              // nothing is loaded any more
  bool resting_ = false;                                               // the loader thread has seen stopping_
  bool ending_ = false;

  std::map<std::string, Model> models_;
  std::optional<TimePoint> next_poll_;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace tessera::model
