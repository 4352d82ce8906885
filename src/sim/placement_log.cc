#include "sim/placement_log.h"

#include <algorithm>

#include "loadgen/text.h"

namespace tessera::sim {
namespace {

using loadgen::digits;
using loadgen::seconds;

double percent(std::uint64_t part, std::uint64_t all) {
  return all == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(all);
}

}  // namespace

PlacementLog::PlacementLog(const std::vector<loadgen::Tenant>& tenants, const ClusterOptions& options)
    : tenants_(tenants),
      step_(std::max<Duration>((options.warm_up + options.length) / kSteps, Duration(1))),
      steps_(kSteps),
      models_(tenants.size()) {}

// Calls come in the order of time, but answers are of requests that came before.
PlacementLog::Counts& PlacementLog::step(TimePoint at) {
  return steps_[std::min(static_cast<std::size_t>((at - TimePoint{}) / step_), kSteps - 1)];
}

void PlacementLog::moved(const Move& move) {
  Counts& now = step(move.at);
  const auto place = static_cast<std::size_t>(&now - steps_.data());
  for (; counted_ < place; ++counted_) {
    steps_[counted_].replicas = replicas_;
  }
  Model& model = models_[move.tenant];
  if (move.loads) {
    ++(!model.on.empty()           ? now.further
       : !model.was_somewhere      ? now.first
       : model.last == move.device ? now.back
                                   : now.migrations);
    model.was_somewhere = true;
    replicas_ += model.on.insert(move.device).second ? 1 : 0;
  } else {
    ++now.unloads;
    replicas_ -= model.on.erase(move.device);
    model.last = move.device;
  }
}

void PlacementLog::answered(const Answer& answer) {
  Counts& then = step(answer.arrival);
  const auto& slo = tenants_[answer.tenant].slo;
  ++then.requests;
  then.met += answer.ended && (!slo || *answer.ended - answer.arrival <= *slo) ? 1 : 0;
  then.waited += answer.waited ? 1 : 0;
}

PlacementLog::Counts PlacementLog::total() const {
  Counts out;
  for (const Counts& one : steps_) {
    out.first += one.first;
    out.back += one.back;
    out.migrations += one.migrations;
    out.further += one.further;
    out.unloads += one.unloads;
    out.requests += one.requests;
    out.met += one.met;
    out.waited += one.waited;
  }
  out.replicas = replicas_;
  return out;
}

std::string PlacementLog::json() const {
  const auto object = [](const Counts& one) {
    return "{\"first\": " + std::to_string(one.first) + ", \"back\": " + std::to_string(one.back) +
           ", \"migrations\": " + std::to_string(one.migrations) + ", \"further\": " + std::to_string(one.further) +
           ", \"unloads\": " + std::to_string(one.unloads) + ", \"replicas\": " + std::to_string(one.replicas) +
           ", \"requests\": " + std::to_string(one.requests) + ", \"met\": " + std::to_string(one.met) +
           ", \"waited\": " + std::to_string(one.waited) + "}";
  };
  std::string out =
      "{\"step_seconds\": " + digits(seconds(step_)) + ",\n  \"total\": " + object(total()) + ",\n  \"steps\": [";
  for (std::size_t i = 0; i < kSteps; ++i) {
    Counts one = steps_[i];
    one.replicas = i < counted_ ? one.replicas : replicas_;
    out += (i == 0 ? "\n   " : ",\n   ") + object(one);
  }
  return out + "\n  ]}";
}

std::string PlacementLog::line() const {
  const Counts all = total();
  return "models: " + std::to_string(all.first + all.back + all.migrations + all.further) + " loads (" +
         std::to_string(all.back) + " came back, " + std::to_string(all.migrations) + " elsewhere, " +
         std::to_string(all.further) + " further replicas), " + std::to_string(all.unloads) + " left; " +
         digits(percent(all.met, all.requests)) + " % of the requests in time, " +
         digits(percent(all.waited, all.requests)) + " % waited for their model\n";
}

}  // namespace tessera::sim
