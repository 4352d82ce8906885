// Devices that join and that are lost: what is loaded where for it.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/log.h"
#include "model/lifecycle.h"
#include "model/lifecycle_state.h"

namespace tessera::model {

void Lifecycle::add(const Place& place, Joining others, const std::function<void(Status)>& done) {
  auto made = std::make_unique<State>(options_, states_.size(), place, *placement_, *inspections_);
  State* const state = made.get();
  State::Command join{[this, state, others = std::move(others)] { return this->join(*state, others); }, done};
  Status refused;
  {
    const std::lock_guard in_order(order_);
    placement_->add();
    std::vector<std::shared_ptr<const Asked>> under_way;
    {
      const std::lock_guard lock(mutex_);
      lost_.push_back(false);
      under_way = under_way_;
    }
    states_.push_back(std::move(made));
    if (stopping_) state->stop_loading();
    refused = state->try_post(join);
    // What was asked before, and may change what the others serve after this one has looked, it does afterwards.
    for (const auto& asked : under_way) {
      state->post({[state, asked] { return asked->work(*state); }, [](const Status& /*is in the index*/) {}});
    }
  }
  if (!refused.ok()) done(refused);
}

// Loads what the others serve, or would serve where they were not lost. On the new device's loader thread.
Status Lifecycle::join(State& state, const Joining& others) {
  std::map<std::string, LoadRequest> wanted;
  for (const auto& instance : others.served()) {
    wanted[instance->name].as_served[instance->version] = instance->digest;
  }
  std::set<std::string> brought;
  {
    const std::lock_guard lock(mutex_);
    for (const std::string& name : moving_) wanted[name];
    for (auto& [name, request] : wanted) {
      request.name = name;
      const auto known = overridden_.find(name);
      if (known != overridden_.end()) request.config_json = known->second->config_json;
    }
    brought = brought_;
  }
  Status first;
  for (const auto& [name, request] : wanted) {
    Status loaded = ok_status();
    if (brought.contains(name)) {
      loaded = unavailable("model '" + name + "' came with the request that loaded it: load it again to have it here");
    } else {
      loaded = state.load(request);
    }
    if (loaded.ok()) {
      if (state.index().serves(name)) moved(name);
      others.loaded(name);
    } else if (first.ok()) {
      first = loaded;
    }
  }
  state.poll_from_now();
  return first;
}

void Lifecycle::device_lost(std::size_t place) {
  const std::lock_guard in_order(order_);
  if (place >= states_.size()) return;  // it is being added
  std::vector<State*> others;
  {
    const std::lock_guard lock(mutex_);
    if (lost_[place]) return;
    lost_[place] = true;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (!lost_[i]) others.push_back(states_[i].get());
    }
  }
  placement_->lose(place);
  states_[place]->stop_loading();
  for (const std::string& name : states_[place]->index().serving()) {
    const bool served =
        std::any_of(others.begin(), others.end(), [&](const State* other) { return other->index().serves(name); });
    if (served) continue;
    std::shared_ptr<const LoadRequest> request;
    {
      const std::lock_guard lock(mutex_);
      moving_.insert(name);
      const auto known = overridden_.find(name);
      request = known != overridden_.end() ? known->second
                                           : std::make_shared<const LoadRequest>(LoadRequest{name, {}, {}, {}});
    }
    for (State* other : others) {
      if (!placement_->holds(other->number(), name)) continue;
      other->post({[other, request] { return other->load(*request); },
                   [this, request](const Status& loaded) {
                     if (loaded.ok()) moved(request->name);
                   }});
    }
  }
}

void Lifecycle::moved(const std::string& name) {
  const std::lock_guard lock(mutex_);
  moving_.erase(name);
}

bool Lifecycle::all_moved() const {
  const std::lock_guard lock(mutex_);
  return moving_.empty();
}

// The devices that are not lost; all where none is left, so that somebody says so.
std::vector<Lifecycle::State*> Lifecycle::left() const {
  std::vector<State*> out;
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (!lost_[i]) out.push_back(states_[i].get());
  }
  if (out.empty()) {
    for (const auto& state : states_) out.push_back(state.get());
  }
  return out;
}

}  // namespace tessera::model
