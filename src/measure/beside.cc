#include "measure/beside.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "engine/onnxruntime/cuda/captured_plan.h"
#include "measure/numbers.h"

namespace tessera::measure {
namespace {

constexpr std::chrono::milliseconds kBetweenHomes{10};
constexpr std::int32_t kMostRows = 8;

void note_steps(const device::Plan* plan, const Slice& slice, std::array<std::vector<double>, 3>& steps) {
  const auto* captured = dynamic_cast<const engine::CapturedPlan*>(plan);
  const auto took = captured != nullptr ? captured->homing_took(slice) : std::nullopt;
  if (took) {
    steps[0].push_back(ms(took->rehome));
    steps[1].push_back(ms(took->instantiate));
    steps[2].push_back(ms(took->upload));
  }
}

std::string to_json(const LoopTimes& times) {
  std::array<char, 160> text{};
  std::snprintf(text.data(), text.size(),
                R"({"launches":%zu,"per_s":%.1f,"p50_ms":%.4f,"p99_ms":%.4f,"worst_ms":%.4f})", times.launches,
                times.per_second, times.p50_ms, times.p99_ms, times.worst_ms);
  return text.data();
}

}  // namespace

double Beside::worst_p99_ratio() const {
  double worst = 0;
  for (std::size_t i = 0; i < alone.size(); ++i) {
    worst = std::max(worst, alone[i].p99_ms > 0 ? beside[i].p99_ms / alone[i].p99_ms : 0);
  }
  return worst;
}

double Beside::most_worst_ms_more() const {
  double most = 0;
  for (std::size_t i = 0; i < alone.size(); ++i) {
    most = std::max(most, beside[i].worst_ms - alone[i].worst_ms);
  }
  return most;
}

std::string to_json(const Beside& result) {
  std::array<char, 160> text{};
  std::snprintf(text.data(), text.size(), R"({"took_ms":%.3f,"worst_p99_ratio":%.4f,"worst_ms_more":%.4f,"models":[)",
                result.took_ms, result.worst_p99_ratio(), result.most_worst_ms_more());
  std::string json = text.data();
  if (!result.steps_ms.empty()) {
    std::string steps;
    for (const auto& [step, took] : result.steps_ms) {
      steps += (steps.empty() ? "\"" : ",\"") + step + "\":" + std::to_string(took);
    }
    json.insert(json.find("\"worst_p99"), "\"steps_ms\":{" + steps + "},");
  }
  for (std::size_t i = 0; i < result.alone.size(); ++i) {
    json += (i > 0 ? "," : "") + ("{\"name\":\"" + result.names[i] + "\",\"alone\":" + to_json(result.alone[i])) +
            ",\"beside\":" + to_json(result.beside[i]) + "}";
  }
  return json + "]}";
}

Result<std::unique_ptr<Neighbourhood>> Neighbourhood::make(device::Device& device, engine::Engine& engine,
                                                           const BesideOptions& options) {
  std::vector<Slice> slices = side_by_side(device.shape(), options.neighbours.size() + 1);
  if (slices.size() <= options.neighbours.size()) {
    return unsupported("the device has no " + std::to_string(options.neighbours.size() + 1) + " slices of equal size");
  }
  std::unique_ptr<Neighbourhood> made(
      new Neighbourhood(device, engine, options, std::move(slices)));  // NOLINT: the constructor is private
  for (std::size_t i = 0; i < options.neighbours.size(); ++i) {
    TESSERA_ASSIGN_OR_RETURN(auto model, Model::load(device, engine, options.models, options.neighbours[i], kMostRows,
                                                     {static_cast<std::uint32_t>(i + 1)}));
    TESSERA_ASSIGN_OR_RETURN(made->loops_.emplace_back(), model->loop(options.rows, {0}, made->slices_[i]));
    TESSERA_ASSIGN_OR_RETURN(made->behind_.emplace_back(), model->loop(options.rows, {1}, made->slices_[i]));
    made->models_.push_back(std::move(model));
  }
  return made;
}

Duration Neighbourhood::span() const {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options_.seconds));
}

Result<Model*> Neighbourhood::neighbour(const std::string& name) const {
  const auto found = std::find(options_.neighbours.begin(), options_.neighbours.end(), name);
  if (found == options_.neighbours.end()) {
    return not_found("there is no neighbour '" + name + "'");
  }
  return models_[static_cast<std::size_t>(found - options_.neighbours.begin())].get();
}

Result<Beside> Neighbourhood::around(const std::function<Status()>& work, Behind behind) {
  Beside result;
  result.names = options_.neighbours;
  std::vector<Loop> all = loops_;
  if (behind == Behind::kOneBatch) {
    result.names.insert(result.names.end(), options_.neighbours.begin(), options_.neighbours.end());
    all.insert(all.end(), behind_.begin(), behind_.end());
  }
  TESSERA_ASSIGN_OR_RETURN(result.alone, runner_.run(all, span()));
  TESSERA_ASSIGN_OR_RETURN(result.beside, runner_.run(all, Duration{0}, work));
  return result;
}

Result<Beside> Neighbourhood::loading(const std::string& model, Behind behind) {
  double took = 0;
  const auto load = [&]() -> Status {
    const TimePoint begin = now();
    TESSERA_ASSIGN_OR_RETURN(const auto loaded, Model::load(device_, engine_, options_.models, model, 1, {1000}));
    TESSERA_RETURN_IF_ERROR(loaded->loop(1, {0}, slices_.back()));
    took = ms(now() - begin);
    return ok_status();
  };
  TESSERA_ASSIGN_OR_RETURN(Beside result, around(load, behind));
  result.took_ms = took;
  return result;
}

Result<Beside> Neighbourhood::homing(Behind behind) {
  // A lane that does not serve, captured before anything is timed.
  const LaneIndex idle{2};
  for (const auto& model : models_) {
    TESSERA_RETURN_IF_ERROR(model->loaded().prepare_home(options_.rows, idle, slices_.back()));
  }
  std::vector<double> took;
  std::array<std::vector<double>, 3> steps;
  const auto home = [&]() -> Status {
    for (const Slice& slice : device_.shape().ladder) {
      for (const auto& model : models_) {
        if (slice == slices_.back()) {
          continue;
        }
        const TimePoint begin = now();
        const auto homed = model->loaded().prepare_home(options_.rows, idle, slice);
        if (homed.ok()) {
          took.push_back(ms(now() - begin));
          note_steps(*homed, slice, steps);
        } else if (homed.error().code() != ErrorCode::kUnsupported) {
          return homed.error();
        }
        std::this_thread::sleep_for(kBetweenHomes);
      }
    }
    return ok_status();
  };
  for (const auto& model : models_) {  // what an earlier measurement has left
    for (const Slice& slice : device_.shape().ladder) {
      model->loaded().drop_home(options_.rows, idle, slice);
    }
  }
  TESSERA_ASSIGN_OR_RETURN(Beside result, around(home, behind));
  result.took_ms = median(std::move(took));
  if (!steps[0].empty()) {
    result.steps_ms = {{"rehome", median(steps[0])}, {"instantiate", median(steps[1])}, {"upload", median(steps[2])}};
  }
  return result;
}

Result<Beside> Neighbourhood::uncaptured(const std::string& model, Against against) {
  const auto with = [&](const std::optional<Slice>& uncaptured_in) -> Result<std::vector<LoopTimes>> {
    // Neither has its inputs converted: that is part of captured plans.
    const ModelOptions how{.uncaptured_in = uncaptured_in, .digest = {}, .as_in_file = true};
    TESSERA_ASSIGN_OR_RETURN(const auto other,
                             Model::load(device_, engine_, options_.models, model, options_.rows, {1000}, how));
    std::vector<Loop> all = loops_;
    TESSERA_ASSIGN_OR_RETURN(all.emplace_back(), other->loop(options_.rows, {0}, slices_.back()));
    return runner_.run(all, span());
  };
  Beside result;
  result.names = options_.neighbours;
  TESSERA_ASSIGN_OR_RETURN(result.alone, against == Against::kAlone ? runner_.run(loops_, span()) : with(std::nullopt));
  TESSERA_ASSIGN_OR_RETURN(result.beside, with(slices_.back()));
  if (against == Against::kCaptured) {
    result.names.push_back(model);  // how it fares itself
  } else {
    result.beside.pop_back();
  }
  return result;
}

Result<Beside> Neighbourhood::critical(Sharing sharing, const Mix& mix) {
  const Slice whole = device_.shape().whole();
  const bool slices = sharing == Sharing::kSlices;
  std::vector<Loop> all;
  const auto add = [&](const std::string& name, std::int32_t rows, std::uint16_t lane) -> Status {
    TESSERA_ASSIGN_OR_RETURN(Model * model, neighbour(name));
    TESSERA_ASSIGN_OR_RETURN(Loop loop, model->loop(rows, {lane}, slices ? slices_[all.size()] : whole));
    loop.after = slices ? device::After::kOverlap : device::After::kLane;
    all.push_back(loop);
    return ok_status();
  };
  TESSERA_RETURN_IF_ERROR(add(mix.critical, mix.critical_rows, 0));
  for (std::uint16_t lane = 1; lane < Model::kLanes && (!slices || all.size() < slices_.size()); ++lane) {
    TESSERA_RETURN_IF_ERROR(add(mix.greedy, mix.greedy_rows, lane));
  }
  Beside result;
  result.names = {mix.critical};
  TESSERA_ASSIGN_OR_RETURN(result.alone, runner_.run({all.front()}, span()));
  TESSERA_ASSIGN_OR_RETURN(auto beside, runner_.run(all, span()));
  result.beside = {beside.front()};
  return result;
}

}  // namespace tessera::measure
