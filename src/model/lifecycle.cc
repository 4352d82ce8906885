#include "model/lifecycle.h"

#include <algorithm>
#include <future>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "model/lifecycle_state.h"
#include "model/repository.h"

namespace tessera::model {
namespace {

constexpr std::string_view kNotExplicit = "explicit model load / unload is not allowed if polling is enabled";

Status stopping() { return unavailable("the server is stopping"); }

}  // namespace

// ---- The loader thread ----

void Lifecycle::State::run() {
  bool confined = false;
  while (auto command = next()) {
    // Not before the first command: until then the host may still be under construction.
    if (!confined) {
      confined = true;
      if (const Status status = host_.device().become_loader_thread(); !status.ok()) {
        log(LogLevel::kWarning, "the loader thread is not confined to its slice",
            {{"reason", status.error().message()}});
      }
    }
    command->done(command->work());
  }
  stop_all();
}

// The next command, or the next of what is done while there is none; nothing once the server stops.
std::optional<Lifecycle::State::Command> Lifecycle::State::next() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stopping_) {
      rest(lock);
      return std::nullopt;
    }
    if (!commands_.empty()) {
      Command command = std::move(commands_.front());
      commands_.pop_front();
      return command;
    }
    if (next_poll_ && now() >= *next_poll_) {
      next_poll_ = now() + options_.poll_interval;
      return Command{[this] {
                       poll();
                       return ok_status();
                     },
                     [](const Status& /*always good*/) {}};
    }
    if (has_background_work()) {
      return Command{[this] {
                       grow_one();
                       return ok_status();
                     },
                     [](const Status& /*always good*/) {}};
    }
    idle_ = true;
    changed_.notify_all();  // settled()
    if (next_poll_) {
      changed_.wait_for(lock, *next_poll_ - now());
    } else {
      changed_.wait(lock);
    }
    idle_ = false;
  }
}

bool Lifecycle::State::has_background_work() const {
  return std::any_of(models_.begin(), models_.end(), [](const auto& model) {
    return std::any_of(model.second.serving.begin(), model.second.serving.end(), [](const auto& version) {
      return !version.second.to_home.empty() || !version.second.to_capture.empty();
    });
  });
}

void Lifecycle::State::grow_one() {
  if (!capture_one()) home_one();
}

// One plan of the version that has the smallest to come, so that none waits for another to have all of its own.
bool Lifecycle::State::capture_one() {
  LoadedVersion* poorest = nullptr;
  for (auto& [name, model] : models_) {
    for (auto& [number, version] : model.serving) {
      if (!version.to_capture.empty() &&
          (poorest == nullptr || version.to_capture.front().bucket < poorest->to_capture.front().bucket)) {
        poorest = &version;
      }
    }
  }
  if (poorest != nullptr) loader_.capture_next(*poorest);
  return poorest != nullptr;
}

// One slice of the version that has the fewest, so that none waits for another to have all of its own.
void Lifecycle::State::home_one() {
  LoadedVersion* poorest = nullptr;
  for (auto& [name, model] : models_) {
    for (auto& [number, version] : model.serving) {
      if (!version.to_home.empty() && (poorest == nullptr || version.homed.size() < poorest->homed.size())) {
        poorest = &version;
      }
    }
  }
  if (poorest == nullptr) return;
  if (const auto slice = loader_.home_next(*poorest)) {
    host_.slice_ready(*poorest->instance, *slice);
  }
}

// Nothing is loaded any more; what serves stays until the end.
void Lifecycle::State::rest(std::unique_lock<std::mutex>& lock) {
  std::deque<Command> left;
  left.swap(commands_);
  lock.unlock();
  for (Command& command : left) command.done(stopping());
  for (auto& [name, model] : models_) {
    for (auto& [number, version] : model.serving) {
      if (!version.to_capture.empty()) loader_.end_growth(version, stopping().error().message());
    }
  }
  lock.lock();
  resting_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return ending_; });
}

void Lifecycle::State::stop_all() {
  for (auto& [name, model] : models_) withdraw_all(name, model, "unloaded");
}

// ---- Any thread ----

Status Lifecycle::State::try_post(Command& command) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return stopping();
  if (commands_.size() >= kMaxWaitingLoads) {
    return Error(ErrorCode::kResourceExhausted, "too many loads and unloads are waiting");
  }
  commands_.push_back(std::move(command));
  changed_.notify_all();
  return ok_status();
}

void Lifecycle::State::post(Command command) {
  if (const Status refused = try_post(command); !refused.ok()) command.done(refused);
}

Status Lifecycle::State::start() {
  // Shared, since who started may have gone on when the loader thread gets so far.
  const auto ended = std::make_shared<std::optional<Status>>();
  post({[this] { return load_at_start(); },
        [this, ended](Status status) {
          const std::lock_guard lock(mutex_);
          ended->emplace(std::move(status));
          changed_.notify_all();
        }});
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ended->has_value() || stopping_; });
  return ended->has_value() ? **ended : stopping();
}

void Lifecycle::State::stop_loading() {
  loader_.stop();
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

void Lifecycle::State::stuck(const std::string& name, std::int64_t version, const std::string& why) {
  index_.suspend(name, version, why);
  const std::lock_guard lock(mutex_);
  stuck_[{name, version}] = why;
}

void Lifecycle::State::stuck_ended(const std::string& name, std::int64_t version) {
  const std::lock_guard lock(mutex_);
  const auto stuck = stuck_.find({name, version});
  if (stuck == stuck_.end()) return;
  index_.resume(name, version, stuck->second);
  stuck_.erase(stuck);
}

bool Lifecycle::State::loading_ended(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [this] { return resting_; });
}

bool Lifecycle::State::settled(TimePoint until) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, until - now(), [this] { return (idle_ && commands_.empty()) || stopping_; }) &&
         !stopping_;
}

// ---- The interface ----

namespace {

// What the devices say of one load or unload, until all have spoken. Thread-safe.
class Answers {
 public:
  Answers(std::size_t expected, std::function<void(Status)> done) : missing_(expected), done_(std::move(done)) {}

  // `counts`: the device is to hold the model. The last answer tells who asked: well where it is well on one device.
  void add(const Status& status, bool counts) {
    {
      const std::lock_guard lock(mutex_);
      well_ = well_ || (counts && status.ok());
      if (!status.ok() && error_.ok()) error_ = status;
      if (--missing_ > 0) return;
    }
    done_(well_ ? ok_status() : error_);
  }

 private:
  std::mutex mutex_;
  std::size_t missing_;
  bool well_ = false;
  Status error_;
  const std::function<void(Status)> done_;
};

}  // namespace

Lifecycle::Lifecycle(const LifecycleOptions& options, const std::vector<Place>& places)
    : options_(options),
      placement_(std::make_unique<Placement>(places.size())),
      inspections_(std::make_unique<Inspections>()),
      lost_(places.size(), false) {
  for (std::size_t i = 0; i < places.size(); ++i) {
    states_.push_back(std::make_unique<State>(options, i, places[i], *placement_, *inspections_));
  }
}

Lifecycle::Lifecycle(const LifecycleOptions& options, Host& host, engine::Engine& engine)
    : Lifecycle(options, std::vector<Place>{{host, engine}}) {}

Lifecycle::~Lifecycle() {
  stop_loading();
  for (const auto& state : states_) state->end();
}

Status Lifecycle::start() {
  std::vector<std::future<Status>> others;
  for (std::size_t i = 1; i < states_.size(); ++i) {
    others.push_back(std::async(std::launch::async, [state = states_[i].get()] { return state->start(); }));
  }
  std::vector<Status> ended{states_.front()->start()};
  for (std::future<Status>& other : others) ended.push_back(other.get());
  Status first;
  for (const State* state : left()) {  // what a device that was lost meanwhile says does not count
    if (first.ok() && state->number() < ended.size()) first = ended[state->number()];
  }
  if (first.ok() || states_.size() == 1) return first;
  // What failed on one device is no failure of the start where another serves it.
  const std::vector<IndexEntry> all = index();
  const auto in = [&](std::string_view state) {
    return std::any_of(all.begin(), all.end(), [&](const IndexEntry& entry) { return entry.state == state; });
  };
  return in("READY") && !in("UNAVAILABLE") && first.error().code() != stopping().error().code() ? ok_status() : first;
}

void Lifecycle::stuck(std::size_t place, const std::string& name, std::int64_t version, const std::string& why) {
  states_[place]->stuck(name, version, why);
}

void Lifecycle::stuck_ended(std::size_t place, const std::string& name, std::int64_t version) {
  states_[place]->stuck_ended(name, version);
}

void Lifecycle::bring_back(std::size_t place, const std::string& name) {
  State* const state = states_[place].get();
  state->post({[state, name] {
                 state->bring_back(name);
                 return ok_status();
               },
               [state, name](const Status& accepted) {
                 if (!accepted.ok()) state->cannot_bring_back(name, accepted.error());
               }});
}

void Lifecycle::stop_loading() {
  const std::lock_guard in_order(order_);
  stopping_ = true;
  for (const auto& state : states_) state->stop_loading();
}

bool Lifecycle::loading_ended(std::chrono::milliseconds limit) {
  const TimePoint end = add_saturating(now(), limit);
  return std::all_of(states_.begin(), states_.end(), [end](const auto& state) {
    const Duration rest = std::max(Duration{0}, end - now());
    return state->loading_ended(std::chrono::duration_cast<std::chrono::milliseconds>(rest));
  });
}

bool Lifecycle::settled(std::chrono::milliseconds limit) {
  const TimePoint end = add_saturating(now(), limit);
  const std::vector<State*> states = left();
  return std::all_of(states.begin(), states.end(), [end](State* state) { return state->settled(end); });
}

// `settle`: what there is to note when all have answered, before `done`.
void Lifecycle::everywhere(const std::string& name, std::function<Status(State&)> work,
                           std::function<void(const Status&)> settle, std::function<void(Status)> done) {
  const bool allowed = options_.control == ControlMode::kExplicit;
  const auto asked = std::make_shared<const Asked>(Asked{[allowed, work = std::move(work)](State& state) -> Status {
    return allowed ? work(state) : Status(unavailable(std::string(kNotExplicit)));
  }});
  std::vector<std::pair<State::Command, Status>> refused;
  {
    const std::lock_guard in_order(order_);
    const std::vector<State*> states = left();
    {
      const std::lock_guard lock(mutex_);
      under_way_.push_back(asked);
    }
    const auto answers = std::make_shared<Answers>(
        states.size(), [this, asked, settle = std::move(settle), done = std::move(done)](Status status) {
          settle(status);
          {
            const std::lock_guard lock(mutex_);
            under_way_.erase(std::find(under_way_.begin(), under_way_.end(), asked));
          }
          done(std::move(status));
        });
    for (State* state : states) {
      State::Command command{[state, asked] { return asked->work(*state); },
                             [this, state, answers, name](const Status& status) {
                               answers->add(status, placement_->holds(state->number(), name));
                             }};
      if (Status posted = state->try_post(command); !posted.ok()) {
        refused.emplace_back(std::move(command), std::move(posted));
      }
    }
  }
  for (const auto& [command, why] : refused) command.done(why);
}

// Files that a request brought are not kept: what was loaded from them cannot be loaded again.
void Lifecycle::remember(const std::shared_ptr<const LoadRequest>& request) {
  const std::lock_guard lock(mutex_);
  if (request->config_json && request->files.empty()) {
    overridden_[request->name] = request;
  } else {
    overridden_.erase(request->name);
  }
  if (request->files.empty()) {
    brought_.erase(request->name);
  } else {
    brought_.insert(request->name);
  }
}

// What is known of a model that serves nowhere.
void Lifecycle::forget(const std::string& name) {
  if (std::any_of(states_.begin(), states_.end(), [&](const auto& state) { return state->index().serves(name); })) {
    return;
  }
  placement_->forget(name);
  const std::lock_guard lock(mutex_);
  overridden_.erase(name);
  brought_.erase(name);
}

void Lifecycle::load(LoadRequest request, std::function<void(Status)> done) {
  const auto shared = std::make_shared<const LoadRequest>(std::move(request));
  everywhere(
      shared->name, [shared](State& state) { return state.load(*shared); },
      [this, shared](const Status& status) {
        if (status.ok()) {
          moved(shared->name);
          remember(shared);
        } else {
          forget(shared->name);
        }
      },
      std::move(done));
}

void Lifecycle::unload(const std::string& name, std::function<void(Status)> done) {
  everywhere(
      name, [name](State& state) { return state.unload(name); },
      [this, name](const Status& /*it is gone either way*/) {
        moved(name);
        forget(name);
      },
      std::move(done));
}

std::vector<IndexEntry> Lifecycle::index() const {
  const std::vector<State*> states = left();
  std::vector<std::string> known;
  for (const auto& repository : states.front()->options().repositories) {
    // A repository that cannot be read hides what it would add, and nothing that is loaded.
    if (const auto names = model_names(repository); names.ok()) {
      known.insert(known.end(), names->begin(), names->end());
    }
  }
  std::vector<DeviceIndex> all;
  all.reserve(states.size());
  for (const State* state : states) all.push_back({state->device(), state->index().entries(known)});
  return merged(std::move(all));
}

}  // namespace tessera::model
