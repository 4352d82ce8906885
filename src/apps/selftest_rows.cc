#include "apps/selftest_rows.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <type_traits>
#include <utility>

#include "measure/beside.h"
#include "measure/first_answer.h"
#include "measure/homed.h"
#include "measure/pair.h"
#include "measure/reallocation.h"
#include "measure/sharing.h"

namespace tessera::apps {
namespace {

constexpr const char* kMayBeRefused = "inception_v3";

bool is_there(const RowOptions& options, const std::string& model) {
  return std::filesystem::exists(options.models / model / "1" / "model.onnx");
}

// What the audit says of the one model that it may refuse.
Result<std::string> remark_on_refused(device::CudaDevice& device, engine::CudaEngine& engine,
                                      const RowOptions& options) {
  const std::string name = kMayBeRefused;
  if (!is_there(options, name)) {
    return name + " is not there";
  }
  TESSERA_ASSIGN_OR_RETURN(const std::string cause, measure::why_refused(device, engine, options.models, name));
  return name + (cause.empty() ? " is homed as well" : " is refused: " + cause);
}

Status measure_homed(Computing& computing, const RowOptions& options, measure::Scores& scores) {
  auto* device = dynamic_cast<device::CudaDevice*>(computing.device.get());
  auto* engine = dynamic_cast<engine::CudaEngine*>(computing.engine.get());
  if (device == nullptr || engine == nullptr) {
    return unsupported("only plans of a GPU are homed");
  }
  measure::HomedOptions homed;
  homed.models = options.models;
  homed.names = {"resnet50"};
  homed.batches = {1};
  if (options.full) {
    homed.names = {"resnet50", "mobilenet_v2", "vgg19", "densenet121", "bert_base", "detector"};
    homed.batches = {1, 8, 16};
    homed.sizes = {1, 2, 4, 8, 0};
  }
  std::string remark;
  std::erase_if(homed.names, [&](const std::string& name) {
    const bool absent = !is_there(options, name);
    remark += absent ? name + " is not there; " : "";
    return absent;
  });
  std::vector<measure::HomedCell> cells;
  const auto compared = measure::compare_homed(*device, *engine, homed, [&](const measure::HomedCell& cell) {
    std::fprintf(stderr, "%s\n", measure::to_json(cell).c_str());
    cells.push_back(cell);
  });
  measure::score(cells, scores);  // also where it was cut short
  if (options.full) {
    TESSERA_ASSIGN_OR_RETURN(const std::string refused, remark_on_refused(*device, *engine, options));
    remark += refused;
  }
  measure::score_refused(cells, remark, scores);
  return compared.ok() ? ok_status() : Status(compared.error());
}

using Behind = measure::Neighbourhood::Behind;

int repetitions(bool full) { return full ? 3 : 1; }

measure::BesideOptions beside_options(const RowOptions& options) {
  measure::BesideOptions beside;
  beside.models = options.models;
  return beside;
}

// What `measure` gives so many times over, each told.
template <typename Measure>
auto repeated(bool full, const std::string& name, const Measure& measure)
    -> Result<std::vector<std::decay_t<decltype(*measure())>>> {
  std::vector<std::decay_t<decltype(*measure())>> results;
  for (int i = 0; i < repetitions(full); ++i) {
    TESSERA_ASSIGN_OR_RETURN(auto result, measure());
    std::fprintf(stderr, "%s: %s\n", name.c_str(), measure::to_json(result).c_str());
    results.push_back(std::move(result));
  }
  return results;
}

Status measure_homing(measure::Neighbourhood& around, bool full, measure::Scores& scores) {
  TESSERA_ASSIGN_OR_RETURN(const auto served,
                           repeated(full, "homing", [&] { return around.homing(Behind::kOneBatch); }));
  TESSERA_ASSIGN_OR_RETURN(const auto bare, repeated(full, "homing, nothing committed behind",
                                                     [&] { return around.homing(Behind::kNothing); }));
  measure::score_homing(served, bare, scores);
  return ok_status();
}

Status measure_loading(measure::Neighbourhood& around, bool full, measure::Scores& scores) {
  const std::vector<std::string> models =
      full ? std::vector<std::string>{"resnet50", "vgg19", "mobilenet_v2"} : std::vector<std::string>{"resnet50"};
  for (const std::string& model : models) {
    const auto load = [&](Behind behind) { return [&, behind] { return around.loading(model, behind); }; };
    TESSERA_ASSIGN_OR_RETURN(const auto served, repeated(full, "loading " + model, load(Behind::kOneBatch)));
    TESSERA_ASSIGN_OR_RETURN(const auto bare,
                             repeated(full, "loading " + model + ", nothing committed behind", load(Behind::kNothing)));
    measure::score_loading(model, served, bare, scores);
  }
  return ok_status();
}

// The greedy ones: depthwise convolutions move much for what they compute, wide ones compute much.
Status measure_critical(measure::Neighbourhood& around, bool full, measure::Scores& scores) {
  using Sharing = measure::Neighbourhood::Sharing;
  for (const char* critical : {"resnet50", "mobilenet_v2", "vgg19"}) {
    for (const auto& [bound, greedy] :
         {std::pair(measure::Bound::kMemory, "mobilenet_v2"), std::pair(measure::Bound::kCompute, "vgg19")}) {
      const measure::Neighbourhood::Mix mix{.critical = critical, .greedy = greedy};
      const std::string name = mix.critical + " beside " + mix.greedy;
      TESSERA_ASSIGN_OR_RETURN(const auto slices, repeated(full, "critical in slices, " + name,
                                                           [&] { return around.critical(Sharing::kSlices, mix); }));
      TESSERA_ASSIGN_OR_RETURN(const auto streams, repeated(full, "critical as streams, " + name,
                                                            [&] { return around.critical(Sharing::kStreams, mix); }));
      measure::score_critical(bound, name, slices, streams, scores);
    }
    if (!full) {
      break;
    }
  }
  return ok_status();
}

Status measure_fallback(measure::Neighbourhood& around, bool full, measure::Scores& scores) {
  using Against = measure::Neighbourhood::Against;
  const auto against = [&](Against other) { return [&, other] { return around.uncaptured("resnet50", other); }; };
  TESSERA_ASSIGN_OR_RETURN(const auto alone, repeated(full, "uncaptured against none", against(Against::kAlone)));
  TESSERA_ASSIGN_OR_RETURN(const auto captured,
                           repeated(full, "uncaptured against captured", against(Against::kCaptured)));
  measure::score_fallback(alone, captured, scores);
  return ok_status();
}

measure::SharingOptions sharing_options(const RowOptions& options) {
  measure::SharingOptions sharing;
  sharing.models = options.models;
  sharing.seconds = 1;
  sharing.warm_seconds = 0.5;
  if (!options.full) {
    sharing.policies = {"temporal", "streams", "fixed", "tessera"};
    sharing.batches = {1, 8};
    sharing.rounds = 1;
  }
  return sharing;
}

Status measure_sharing(Computing& computing, const RowOptions& options, measure::Scores& scores) {
  measure::SharingOptions sharing = sharing_options(options);
  sharing.bare = computing.kind == "cuda";
  TESSERA_ASSIGN_OR_RETURN(
      const measure::Run run,
      measure::share({computing.kind, computing.description, {{*computing.device, *computing.engine}}}, sharing,
                     "tessera selftest"));
  measure::print(run);
  measure::score(run, scores);
  return ok_status();
}

Status measure_first(Computing& computing, bool full, const RowOptions& options, measure::Scores& scores) {
  auto* device = dynamic_cast<device::CudaDevice*>(computing.device.get());
  if (device == nullptr) {
    return unsupported("compared on a GPU");
  }
  const std::vector<std::string> models =
      full ? std::vector<std::string>{"resnet50", "vgg19", "mobilenet_v2"} : std::vector<std::string>{"resnet50"};
  for (const std::string& model : models) {
    TESSERA_ASSIGN_OR_RETURN(const auto result,
                             measure::first_answer(*device, *computing.engine, options.models, model, full ? 3 : 1));
    std::fprintf(stderr, "first answer: %s\n", measure::to_json(result).c_str());
    measure::score_first(result, scores);
  }
  return ok_status();
}

// What the models on both notice.
Status measure_pair_beside(const measure::Part& first, const measure::Part& second, const RowOptions& options,
                           const std::vector<std::string>& models, measure::Scores& scores) {
  std::vector<measure::BesideBoth> replicating;
  std::vector<measure::Beside> loading;
  for (int i = 0; i < repetitions(options.full); ++i) {
    const auto both = measure::replicating(first, second, beside_options(options), models);
    if (!both.ok() && both.error().code() == ErrorCode::kUnsupported) {  // too few slices
      scores.not_measured("pair_replica_p99", both.error().message());
      scores.not_measured("pair_loading_p99", both.error().message());
      return ok_status();
    }
    if (!both.ok()) {
      return both.error();
    }
    std::fprintf(stderr, "replicas, seen from where they come: %s\nand where they go: %s\n",
                 measure::to_json(both->here).c_str(), measure::to_json(both->there).c_str());
    replicating.push_back(*both);
    TESSERA_ASSIGN_OR_RETURN(loading.emplace_back(),
                             measure::loading_elsewhere(first, second, beside_options(options), models));
    std::fprintf(stderr, "loading on the other device: %s\n", measure::to_json(loading.back()).c_str());
  }
  measure::score_replicating(replicating, scores);
  measure::score_pair_loading(loading, scores);
  return ok_status();
}

Status measure_pair(std::vector<Computing>& devices, const RowOptions& options, measure::Scores& scores) {
  if (devices.size() < 2) {
    return unsupported("--device names one device");
  }
  const measure::Part first{*devices[0].device, *devices[0].engine};
  const measure::Part second{*devices[1].device, *devices[1].engine};
  const std::vector<std::string> models = options.full ? std::vector<std::string>{"resnet50", "vgg19", "mobilenet_v2"}
                                                       : std::vector<std::string>{"resnet50"};
  for (const std::string& model : models) {
    TESSERA_ASSIGN_OR_RETURN(const auto result,
                             measure::first_of_replica(first, second, options.models, model, options.full ? 5 : 1));
    std::fprintf(stderr, "replica: %s\n", measure::to_json(result).c_str());
    measure::score_replica(result, scores);
  }
  TESSERA_RETURN_IF_ERROR(measure_pair_beside(first, second, options, models, scores));
  measure::SharingOptions sharing = sharing_options(options);
  sharing.policies = {"tessera"};
  TESSERA_ASSIGN_OR_RETURN(
      const measure::Run run,
      measure::share({devices[0].kind, devices[0].description + "; " + devices[1].description, {first, second}},
                     sharing, "tessera selftest"));
  measure::print(run);
  measure::score_pair(run, scores);
  return ok_status();
}

Status measure_reallocation(Computing& computing, const RowOptions& options, measure::Scores& scores) {
  measure::ReallocationOptions reallocation;
  reallocation.models = options.models;
  if (!options.full) {
    reallocation.batches = {8};
    reallocation.arms = {"changing", "atoms"};
    reallocation.rounds = 1;
    reallocation.seconds = 1;
    reallocation.warm_seconds = 0.5;
  }
  TESSERA_ASSIGN_OR_RETURN(
      const measure::Reallocation result,
      measure::reallocate({computing.kind, computing.description, *computing.device, *computing.engine}, reallocation,
                          "tessera selftest"));
  measure::print(result);
  measure::score(result, scores);
  return ok_status();
}

// The rows of a part begin with its name, but for some.
void leave_out(std::string_view part, const std::string& cause, measure::Scores& scores) {
  for (const measure::Row& row : measure::rows()) {
    if (row.elsewhere.empty() && (row.id.starts_with(part) || (part == "sharing" && row.id.starts_with("share_")) ||
                                  (part == "realloc" && row.id.starts_with("seen_")))) {
      scores.not_measured(row.id, cause);
    }
  }
}

}  // namespace

const std::vector<std::string>& RowOptions::known() {
  static const std::vector<std::string> kParts{"homed",    "homing",  "loading", "critical", "first",
                                               "fallback", "sharing", "realloc", "pair"};
  return kParts;
}

void measure_rows(std::vector<Computing>& devices, const RowOptions& options, measure::Scores& scores,
                  const std::function<void()>& after_each) {
  Computing& computing = devices.front();
  std::unique_ptr<measure::Neighbourhood> around;
  const auto with_neighbours = [&](const auto& part) -> Status {
    if (around == nullptr) {
      TESSERA_ASSIGN_OR_RETURN(
          around, measure::Neighbourhood::make(*computing.device, *computing.engine, beside_options(options)));
    }
    return part(*around);
  };
  for (const std::string& part : RowOptions::known()) {
    if (std::find(options.parts.begin(), options.parts.end(), part) == options.parts.end()) {
      continue;
    }
    if (options.models.empty()) {
      leave_out(part, "no --models", scores);
      continue;
    }
    std::fprintf(stderr, "%s ...\n", part.c_str());
    Status done;
    if (part == "homed") {
      done = measure_homed(computing, options, scores);
    } else if (part == "first") {
      around.reset();
      done = measure_first(computing, options.full, options, scores);
    } else if (part == "sharing") {
      around.reset();
      done = measure_sharing(computing, options, scores);
    } else if (part == "realloc") {
      around.reset();
      done = measure_reallocation(computing, options, scores);
    } else if (part == "pair") {
      around.reset();
      done = measure_pair(devices, options, scores);
    } else {
      done = with_neighbours([&](measure::Neighbourhood& those) {
        return part == "homing"     ? measure_homing(those, options.full, scores)
               : part == "loading"  ? measure_loading(those, options.full, scores)
               : part == "fallback" ? measure_fallback(those, options.full, scores)
                                    : measure_critical(those, options.full, scores);
      });
    }
    if (!done.ok()) {
      std::fprintf(stderr, "%s: %s\n", part.c_str(), done.error().message().c_str());
      leave_out(part, done.error().message(), scores);
    }
    after_each();
  }
}

}  // namespace tessera::apps
