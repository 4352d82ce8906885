#include "sim/replay.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <variant>

#include "loadgen/text.h"
#include "sched/journal.h"

namespace tessera::sim {
namespace {

using loadgen::digits;
using loadgen::quoted;
using loadgen::seconds;
using sched::Actions;

constexpr std::uint64_t kStepsBetweenTold = 4096;

// One device of the recording. Owned by the replay.
struct Played {
  std::unique_ptr<sched::Scheduler> scheduler;
  std::unordered_map<InstanceId, std::size_t> models;   // their places among the results
  std::unordered_map<RequestId, std::size_t> requests;  // that wait
  TimePoint last{};
};

std::vector<std::string> lines(const Actions& actions) {
  std::vector<std::string> out;
  for (const sched::Action& action : actions) {
    out.push_back(sched::describe(action));
  }
  return out;
}

class Replayer {
 public:
  Status take(const sched::JournalDevice& device);
  Status take(const sched::JournalStep& step);
  Status take(const sched::JournalEnd& end) {
    out_.ended = end.why;
    ended_ = true;
    return ok_status();
  }

  Replay result(bool cut_short) {
    if (!ended_) {
      out_.ended = cut_short ? "in the middle of a record: the server was killed"
                             : "without a last record: the server was killed";
    }
    return std::move(out_);
  }
  bool ended() const { return ended_; }
  bool differs() const { return out_.difference.has_value(); }

 private:
  std::size_t place_of(const std::string& model);
  void count(const sched::Event& event, Played& device);
  void count(const Actions& actions, Played& device);

  Replay out_;
  std::vector<Played> devices_;
  std::map<std::string, std::size_t> places_;
  std::optional<TimePoint> first_;
  bool ended_ = false;
};

Status Replayer::take(const sched::JournalDevice& device) {
  if (device.number != devices_.size()) {
    return invalid_argument("the journal begins device " + std::to_string(device.number) + " where device " +
                            std::to_string(devices_.size()) + " comes");
  }
  if (device.shape.processors.empty() || device.shape.ladder.empty()) {
    return invalid_argument("device " + std::to_string(device.number) + " of the journal has no processors");
  }
  TESSERA_ASSIGN_OR_RETURN(auto policy, sched::make_policy(device.policy));
  devices_.push_back({std::make_unique<sched::Scheduler>(device.shape, std::move(policy), device.limits), {}, {}, {}});
  out_.devices.push_back({device.shape.name, device.policy, 0});
  return ok_status();
}

Status Replayer::take(const sched::JournalStep& step) {
  if (step.device >= devices_.size()) {
    return invalid_argument("the journal has a step of device " + std::to_string(step.device) + ", which never began");
  }
  Played& device = devices_[step.device];
  if (step.at < device.last) {
    return invalid_argument("time goes back in the journal, on device " + std::to_string(step.device));
  }
  device.last = step.at;
  first_ = std::min(first_.value_or(step.at), step.at);
  out_.span = std::max(out_.span, step.at - *first_);
  ++out_.devices[step.device].steps;
  Actions actions;
  device.scheduler->on_event(step.event, step.at, actions);
  if (sched::encode_actions(actions) != step.actions) {
    TESSERA_ASSIGN_OR_RETURN(const Actions recorded, sched::decode_actions(step.actions));
    out_.difference = {out_.devices[step.device].name,
                       out_.devices[step.device].steps,
                       step.at - *first_,
                       sched::describe(step.event),
                       lines(recorded),
                       lines(actions)};
    return ok_status();
  }
  out_.decisions += actions.size();
  count(step.event, device);
  count(actions, device);
  return ok_status();
}

std::size_t Replayer::place_of(const std::string& model) {
  const auto [found, added] = places_.emplace(model, out_.models.size());
  if (added) {
    out_.models.push_back({model});
  }
  return found->second;
}

void Replayer::count(const sched::Event& event, Played& device) {
  if (const auto* up = std::get_if<sched::ModelUp>(&event)) {
    device.models[up->instance] = place_of(up->params->name);
  } else if (const auto* arrival = std::get_if<sched::Arrival>(&event)) {
    const auto model = device.models.find(arrival->instance);
    if (model != device.models.end()) {
      ++out_.models[model->second].requests;
      device.requests[arrival->request] = model->second;
    }
  } else if (const auto* gone = std::get_if<sched::Cancelled>(&event)) {
    device.requests.erase(gone->request);
  }
}

void Replayer::count(const Actions& actions, Played& device) {
  for (const sched::Action& action : actions) {
    if (const auto* launch = std::get_if<sched::StartLaunch>(&action)) {
      Replay::Model& model = out_.models[device.models.at(launch->instance)];
      ++model.batches;
      model.rows += static_cast<std::uint64_t>(launch->rows);
      for (const RequestId request : launch->requests) {
        device.requests.erase(request);
      }
    } else if (const auto* reject = std::get_if<sched::Reject>(&action)) {
      const auto request = device.requests.find(reject->request);
      if (request != device.requests.end()) {
        ++out_.models[request->second].rejected;
        device.requests.erase(request);
      }
    }
  }
}

std::string list(const std::vector<std::string>& actions) {
  std::string out;
  for (const std::string& action : actions) {
    out += "    " + action + "\n";
  }
  return out.empty() ? "    nothing\n" : out;
}

std::string list_json(const std::vector<std::string>& actions) {
  std::string out;
  for (const std::string& action : actions) {
    out += (out.empty() ? "" : ", ") + quoted(action);
  }
  return "[" + out + "]";
}

}  // namespace

Result<Replay> replay(std::string_view journal, const std::function<void(double)>& progress) {
  TESSERA_ASSIGN_OR_RETURN(auto reader, sched::JournalReader::open(journal));
  Replayer replayer;
  for (std::uint64_t records = 0; !replayer.differs(); ++records) {
    TESSERA_ASSIGN_OR_RETURN(const auto record, reader.next());
    if (!record) {
      break;
    }
    if (replayer.ended()) {
      return invalid_argument("the journal goes on after its end");
    }
    TESSERA_RETURN_IF_ERROR(std::visit([&](const auto& one) { return replayer.take(one); }, *record));
    if (progress && records % kStepsBetweenTold == 0) {
      progress(reader.share_read());
    }
  }
  return replayer.result(reader.cut_short());
}

std::string replay_text(const Replay& replay) {
  std::string out;
  std::uint64_t steps = 0;
  for (const Replay::Device& device : replay.devices) {
    out += device.name + ": " + std::to_string(device.steps) + " steps, policy " + device.policy + " at the start\n";
    steps += device.steps;
  }
  char line[160];
  std::size_t widest = 5;
  for (const Replay::Model& model : replay.models) {
    widest = std::max(widest, std::min<std::size_t>(model.name.size(), 48));
  }
  std::snprintf(line, sizeof line, "%-*s%12s%12s%12s%12s\n", static_cast<int>(widest), "model", "requests", "batches",
                "mean rows", "rejected");
  out += replay.models.empty() ? "" : line;
  for (const Replay::Model& model : replay.models) {
    std::snprintf(line, sizeof line, "%-*.48s%12llu%12llu%12.2f%12llu\n", static_cast<int>(widest), model.name.c_str(),
                  static_cast<unsigned long long>(model.requests), static_cast<unsigned long long>(model.batches),
                  model.batches == 0 ? 0.0 : static_cast<double>(model.rows) / static_cast<double>(model.batches),
                  static_cast<unsigned long long>(model.rejected));
    out += line;
  }
  if (!replay.ended.empty()) {
    out += "the recording ends early, " + replay.ended + "\n";
  }
  if (replay.difference) {
    const Difference& at = *replay.difference;
    out += "DIFFERENT at step " + std::to_string(at.step) + " of " + at.device + ", " + digits(seconds(at.at)) +
           " s after the first: " + at.event + "\n  recorded\n" + list(at.recorded) + "  decided now\n" + list(at.now);
    return out;
  }
  return out + std::to_string(replay.decisions) + " of " + std::to_string(replay.decisions) +
         " decisions the same, in " + std::to_string(steps) + " steps over " + digits(seconds(replay.span)) + " s\n";
}

std::string replay_json(const Replay& replay, const std::string& command) {
  std::string out = "{\"command\": " + quoted(command) + ",\n \"same\": " + (replay.difference ? "false" : "true") +
                    ", \"decisions\": " + std::to_string(replay.decisions) +
                    ", \"seconds\": " + digits(seconds(replay.span)) + ", \"ended_early\": " + quoted(replay.ended) +
                    ",\n \"devices\": [";
  for (const Replay::Device& device : replay.devices) {
    out += std::string(&device == replay.devices.data() ? "" : ",") + "\n  {\"name\": " + quoted(device.name) +
           ", \"policy\": " + quoted(device.policy) + ", \"steps\": " + std::to_string(device.steps) + "}";
  }
  out += "\n ],\n \"models\": [";
  for (const Replay::Model& model : replay.models) {
    out += std::string(&model == replay.models.data() ? "" : ",") + "\n  {\"name\": " + quoted(model.name) +
           ", \"requests\": " + std::to_string(model.requests) + ", \"batches\": " + std::to_string(model.batches) +
           ", \"rows\": " + std::to_string(model.rows) + ", \"rejected\": " + std::to_string(model.rejected) + "}";
  }
  out += "\n ]";
  if (replay.difference) {
    const Difference& at = *replay.difference;
    out += ",\n \"difference\": {\"device\": " + quoted(at.device) + ", \"step\": " + std::to_string(at.step) +
           ", \"seconds\": " + digits(seconds(at.at)) + ", \"event\": " + quoted(at.event) +
           ",\n  \"recorded\": " + list_json(at.recorded) + ",\n  \"now\": " + list_json(at.now) + "}";
  }
  return out + "}\n";
}

}  // namespace tessera::sim
