#include "measure/pair.h"

#include <array>
#include <cstdio>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "measure/models.h"
#include "measure/numbers.h"

namespace tessera::measure {
namespace {

constexpr InstanceId kComing{1000};

// `digest`: what says that two loads are of the same model.
Result<std::unique_ptr<Model>> first_answer(const Part& part, const std::filesystem::path& repository,
                                            const std::string& name, const std::string& digest, FirstSteps& steps) {
  const Slice whole = part.device.shape().whole();
  const TimePoint begin = now();
  TESSERA_ASSIGN_OR_RETURN(auto model, Model::load(part.device, part.engine, repository, name, 1, kComing,
                                                   {.uncaptured_in = {}, .digest = digest}));
  const TimePoint loaded = now();
  TESSERA_ASSIGN_OR_RETURN(const Loop loop, model->loop(1, {0}, whole));
  const TimePoint ready = now();
  TESSERA_RETURN_IF_ERROR(part.device.run_borrowed(*loop.plan, whole, *loop.batch));
  steps = {ms(loaded - begin), ms(ready - loaded), ms(now() - ready)};
  return model;
}

double median_of(const std::vector<FirstSteps>& all, double (*value)(const FirstSteps&)) {
  std::vector<double> values;
  values.reserve(all.size());
  for (const FirstSteps& steps : all) {
    values.push_back(value(steps));
  }
  return median(std::move(values));
}

std::string to_json(const std::vector<FirstSteps>& all) {
  std::string text;
  for (const FirstSteps& steps : all) {
    std::array<char, 120> one{};
    std::snprintf(one.data(), one.size(), R"(%s{"load_ms":%.2f,"ready_ms":%.2f,"run_ms":%.2f})",
                  text.empty() ? "" : ",", steps.load, steps.ready, steps.run);
    text += one.data();
  }
  return "[" + text + "]";
}

}  // namespace

Result<Beside> loading_elsewhere(const Part& quiet, const Part& busy, const BesideOptions& options,
                                 const std::vector<std::string>& models) {
  if (models.empty()) {
    return invalid_argument("no model to be loaded");
  }
  TESSERA_ASSIGN_OR_RETURN(const auto around, Neighbourhood::make(quiet.device, quiet.engine, options));
  std::vector<double> took;
  const auto loads = [&]() -> Status {
    const TimePoint until =
        now() + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.seconds));
    for (std::size_t next = 0; next < models.size() || now() < until; ++next) {
      const TimePoint begin = now();
      TESSERA_ASSIGN_OR_RETURN(const auto loaded, Model::load(busy.device, busy.engine, options.models,
                                                              models[next % models.size()], 1, kComing));
      TESSERA_RETURN_IF_ERROR(loaded->loop(1, {0}, busy.device.shape().whole()));
      took.push_back(ms(now() - begin));
    }
    return ok_status();
  };
  TESSERA_ASSIGN_OR_RETURN(Beside result, around->beside([&] { return as_loader_of(busy.device, loads); }));
  result.took_ms = median(std::move(took));
  return result;
}

Result<BesideBoth> replicating(const Part& here, const Part& there, const BesideOptions& options,
                               const std::vector<std::string>& models) {
  if (models.empty()) {
    return invalid_argument("no model to be loaded");
  }
  const auto digest_of = [](const std::string& model) { return "replicated " + model; };
  TESSERA_ASSIGN_OR_RETURN(const auto around, Neighbourhood::make(here.device, here.engine, options));
  std::vector<std::unique_ptr<Model>> held;
  for (const std::string& model : models) {
    const InstanceId id{static_cast<std::uint32_t>(kComing.value + held.size() + 1)};
    TESSERA_ASSIGN_OR_RETURN(held.emplace_back(), Model::load(here.device, here.engine, options.models, model, 1, id,
                                                              {.uncaptured_in = {}, .digest = digest_of(model)}));
  }
  std::vector<double> took;
  const auto loads = [&]() -> Status {
    const TimePoint until =
        now() + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.seconds));
    for (std::size_t next = 0; next < models.size() || now() < until; ++next) {
      const std::string& model = models[next % models.size()];
      const TimePoint begin = now();
      TESSERA_ASSIGN_OR_RETURN(const auto loaded,
                               Model::load(there.device, there.engine, options.models, model, 1, kComing,
                                           {.uncaptured_in = {}, .digest = digest_of(model)}));
      TESSERA_RETURN_IF_ERROR(loaded->loop(1, {0}, there.device.shape().whole()));
      took.push_back(ms(now() - begin));
    }
    return ok_status();
  };
  BesideBoth result;
  std::promise<bool> begins;  // the neighbours of the other one are there; false: they cannot be
  std::promise<void> ends;
  Status others;
  std::thread other([&] {
    bool began = false;
    bool ended = false;
    others = as_loader_of(there.device, [&]() -> Status {
      TESSERA_ASSIGN_OR_RETURN(const auto around_there, Neighbourhood::make(there.device, there.engine, options));
      began = true;
      begins.set_value(true);
      TESSERA_ASSIGN_OR_RETURN(result.there, around_there->beside([&] {
        Status done = loads();
        ended = true;
        ends.set_value();  // before anything is taken down
        return done;
      }));
      return ok_status();
    });
    if (!began) {
      begins.set_value(false);
    }
    if (!ended) {
      ends.set_value();
    }
  });
  Result<Beside> mine = Beside{};
  if (begins.get_future().get()) {
    mine = around->beside([&] {
      ends.get_future().wait();
      return ok_status();
    });
  }
  other.join();
  if (!others.ok()) {
    return others.error();
  }
  TESSERA_ASSIGN_OR_RETURN(result.here, std::move(mine));
  result.here.took_ms = result.there.took_ms = median(std::move(took));
  return result;
}

double Replica::ratio() const {
  const auto total = [](const FirstSteps& steps) { return steps.total(); };
  const double base = median_of(first, total);
  return base > 0 ? median_of(replica, total) / base : 0;
}

std::string to_json(const Replica& result) {
  return "{\"model\":\"" + result.model + "\",\"first\":" + to_json(result.first) +
         ",\"replica\":" + to_json(result.replica) + ",\"ratio\":" + std::to_string(result.ratio()) + "}";
}

Result<Replica> first_of_replica(const Part& here, const Part& there, const std::filesystem::path& repository,
                                 const std::string& model, int rounds) {
  Replica result{.model = model, .first = {}, .replica = {}};
  for (int round = -1; round < rounds; ++round) {
    const std::string digest = "replica " + model + " " + std::to_string(round);
    FirstSteps first;
    FirstSteps second;
    TESSERA_ASSIGN_OR_RETURN(const auto held, first_answer(here, repository, model, digest, first));
    TESSERA_RETURN_IF_ERROR(as_loader_of(there.device, [&]() -> Status {
      TESSERA_RETURN_IF_ERROR(first_answer(there, repository, model, digest, second));
      return ok_status();
    }));
    if (round >= 0) {
      result.first.push_back(first);
      result.replica.push_back(second);
    }
  }
  return result;
}

}  // namespace tessera::measure
