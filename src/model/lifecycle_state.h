// The queue and the loader thread behind Lifecycle. Internal to model/.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "model/lifecycle.h"
#include "model/loader.h"
#include "model/version_index.h"

namespace tessera::model {

// The queue belongs to all, everything below the line to the loader thread.
class Lifecycle::State {
 public:
  struct Command {
    std::function<Status()> work;
    std::function<void(Status)> done;
  };

  State(LifecycleOptions options, Host& host, engine::Engine& engine)
      : options_(with_engine(std::move(options), engine)),
        host_(host),
        loader_(host, engine, options_.defaults, options_.cache_dir),
        thread_([this] { run(); }) {}

  ~State() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    loader_.stop();
    changed_.notify_all();
    thread_.join();
  }

  // Error, through `done`, on the calling thread: the queue is full, or the server is stopping.
  void post(Command command) {
    Status refused;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) {
        refused = unavailable("the server is stopping");
      } else if (commands_.size() >= kMaxWaitingLoads) {
        refused = Error(ErrorCode::kResourceExhausted, "too many loads and unloads are waiting");
      }
      if (refused.ok()) {
        commands_.push_back(std::move(command));
        changed_.notify_all();
        return;
      }
    }
    command.done(refused);
  }

  const LifecycleOptions& options() const { return options_; }
  const VersionIndex& index() const { return index_; }

  Status load_at_start();
  Status load(const LoadRequest& request);
  Status unload(const std::string& name);

 private:
  // What is known of one model. Owned by the loader thread.
  struct Model {
    std::map<std::int64_t, LoadedVersion> serving;
    std::string fingerprint;  // of the folder at the last attempt, whether it went well or not
    bool settled = false;     // that attempt went well, and took the repository's own configuration
  };

  static LifecycleOptions with_engine(LifecycleOptions options, const engine::Engine& engine) {
    options.defaults.engine = engine.name();
    return options;
  }

  void run();
  std::optional<Command> next();
  bool has_background_work() const;
  void home_one();
  void poll();
  void stop_all();

  Status load_source(const LoadRequest& request, Model& model);
  Status load_version(const ModelSource& source, std::int64_t version, Model& model);
  void withdraw(const std::string& name, LoadedVersion& version, const std::string& reason);

  const LifecycleOptions options_;
  Host& host_;
  Loader loader_;
  VersionIndex index_;

  std::mutex mutex_;  // guards commands_ and stopping_
  std::condition_variable changed_;
  std::deque<Command> commands_;
  bool stopping_ = false;

  std::map<std::string, Model> models_;
  std::optional<TimePoint> next_poll_;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace tessera::model
