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
    TESSERA_ASSIGN_OR_RETURN(const Loop loop, model->loop(options.rows, {0}, made->slices_[i]));
    made->models_.push_back(std::move(model));
    made->loops_.push_back(loop);
  }
  return made;
}

Duration Neighbourhood::span() const {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options_.seconds));
}

Result<Beside> Neighbourhood::around(const std::function<Status()>& work, Duration at_least) {
  Beside result;
  result.names = options_.neighbours;
  TESSERA_ASSIGN_OR_RETURN(result.alone, runner_.run(loops_, span()));
  TESSERA_ASSIGN_OR_RETURN(result.beside, runner_.run(loops_, at_least, work));
  return result;
}

Result<Beside> Neighbourhood::loading(const std::string& model) {
  double took = 0;
  const auto load = [&]() -> Status {
    const TimePoint begin = now();
    TESSERA_ASSIGN_OR_RETURN(const auto loaded, Model::load(device_, engine_, options_.models, model, 1, {1000}));
    TESSERA_RETURN_IF_ERROR(loaded->loop(1, {0}, slices_.back()));
    took = ms(now() - begin);
    return ok_status();
  };
  TESSERA_ASSIGN_OR_RETURN(Beside result, around(load, Duration{0}));
  result.took_ms = took;
  return result;
}

Result<Beside> Neighbourhood::homing() {
  // Lanes that do not serve, captured before anything is timed.
  const LaneIndex idle{1};
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
  TESSERA_ASSIGN_OR_RETURN(Beside result, around(home, Duration{0}));
  result.took_ms = median(std::move(took));
  if (!steps[0].empty()) {
    result.steps_ms = {{"rehome", median(steps[0])}, {"instantiate", median(steps[1])}, {"upload", median(steps[2])}};
  }
  return result;
}

Result<Beside> Neighbourhood::uncaptured(const std::string& model, Against against) {
  const auto with = [&](const std::optional<Slice>& uncaptured_in) -> Result<std::vector<LoopTimes>> {
    TESSERA_ASSIGN_OR_RETURN(
        const auto other, Model::load(device_, engine_, options_.models, model, options_.rows, {1000}, uncaptured_in));
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

Result<Beside> Neighbourhood::critical(Sharing sharing, std::int32_t greedy_rows) {
  std::vector<Loop> all;
  for (std::size_t i = 0; i < models_.size(); ++i) {
    const Slice slice = sharing == Sharing::kSlices ? slices_[i] : device_.shape().whole();
    TESSERA_ASSIGN_OR_RETURN(Loop loop, models_[i]->loop(i == 0 ? 1 : greedy_rows, {0}, slice));
    loop.after = sharing == Sharing::kSlices ? device::After::kOverlap : device::After::kLane;
    all.push_back(loop);
  }
  // A third greedy one: another lane of the first greedy model, where there are slices for it.
  if (models_.size() > 1) {
    const Slice slice = sharing == Sharing::kSlices ? slices_.back() : device_.shape().whole();
    TESSERA_ASSIGN_OR_RETURN(Loop loop, models_[1]->loop(greedy_rows, {1}, slice));
    loop.after = all.back().after;
    all.push_back(loop);
  }
  Beside result;
  result.names = {options_.neighbours.front()};
  TESSERA_ASSIGN_OR_RETURN(result.alone, runner_.run({all.front()}, span()));
  TESSERA_ASSIGN_OR_RETURN(auto beside, runner_.run(all, span()));
  result.beside = {beside.front()};
  return result;
}

}  // namespace tessera::measure
