#include "model/lifecycle.h"

#include <algorithm>

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
                       home_one();
                       return ok_status();
                     },
                     [](const Status& /*always good*/) {}};
    }
    if (next_poll_) {
      changed_.wait_for(lock, *next_poll_ - now());
    } else {
      changed_.wait(lock);
    }
  }
}

bool Lifecycle::State::has_background_work() const {
  return std::any_of(models_.begin(), models_.end(), [](const auto& model) {
    return std::any_of(model.second.serving.begin(), model.second.serving.end(),
                       [](const auto& version) { return !version.second.to_home.empty(); });
  });
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
  lock.lock();
  resting_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return ending_; });
}

void Lifecycle::State::stop_all() {
  for (auto& [name, model] : models_) {
    for (auto& [number, version] : model.serving) withdraw(name, version, "unloaded");
    model.serving.clear();
  }
}

// ---- Any thread ----

void Lifecycle::State::post(Command command) {
  Status refused;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      refused = stopping();
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

bool Lifecycle::State::loading_ended(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [this] { return resting_; });
}

// ---- The interface ----

Lifecycle::Lifecycle(LifecycleOptions options, Host& host, engine::Engine& engine)
    : state_(std::make_unique<State>(std::move(options), host, engine)) {}

Lifecycle::~Lifecycle() = default;

Status Lifecycle::start() { return state_->start(); }
void Lifecycle::stop_loading() { state_->stop_loading(); }
bool Lifecycle::loading_ended(std::chrono::milliseconds limit) { return state_->loading_ended(limit); }

void Lifecycle::load(LoadRequest request, std::function<void(Status)> done) {
  State* state = state_.get();
  const bool allowed = state->options().control == ControlMode::kExplicit;
  state->post({[state, allowed, request = std::move(request)]() -> Status {
                 return allowed ? state->load(request) : Status(unavailable(std::string(kNotExplicit)));
               },
               std::move(done)});
}

void Lifecycle::unload(std::string name, std::function<void(Status)> done) {
  State* state = state_.get();
  const bool allowed = state->options().control == ControlMode::kExplicit;
  state->post({[state, allowed, name = std::move(name)]() -> Status {
                 return allowed ? state->unload(name) : Status(unavailable(std::string(kNotExplicit)));
               },
               std::move(done)});
}

std::vector<IndexEntry> Lifecycle::index() const {
  std::vector<std::string> known;
  for (const auto& repository : state_->options().repositories) {
    // A repository that cannot be read hides what it would add, and nothing that is loaded.
    if (const auto names = model_names(repository); names.ok()) {
      known.insert(known.end(), names->begin(), names->end());
    }
  }
  return state_->index().entries(known);
}

}  // namespace tessera::model
