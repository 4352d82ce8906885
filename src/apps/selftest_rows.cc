#include "apps/selftest_rows.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

#include "measure/beside.h"
#include "measure/first_answer.h"
#include "measure/homed.h"
#include "measure/pair.h"
#include "measure/sharing.h"

namespace tessera::apps {
namespace {

Status measure_homed(Computing& computing, const RowOptions& options, measure::Scores& scores) {
  auto* device = dynamic_cast<device::CudaDevice*>(computing.device.get());
  auto* engine = dynamic_cast<engine::CudaEngine*>(computing.engine.get());
  if (device == nullptr || engine == nullptr) {
    return unsupported("only plans of a GPU are homed");
  }
  measure::HomedOptions homed;
  homed.models = options.models;
  homed.names = options.full ? std::vector<std::string>{"resnet50", "mobilenet_v2", "vgg19"}
                             : std::vector<std::string>{"resnet50"};
  homed.batches = options.full ? std::vector<std::int32_t>{1, 8} : std::vector<std::int32_t>{1};
  std::vector<measure::HomedCell> cells;
  const auto compared = measure::compare_homed(*device, *engine, homed, [&](const measure::HomedCell& cell) {
    std::fprintf(stderr, "%s\n", measure::to_json(cell).c_str());
    cells.push_back(cell);
  });
  measure::score(cells, scores);  // also where it was cut short
  return compared.ok() ? ok_status() : Status(compared.error());
}

using Behind = measure::Neighbourhood::Behind;

measure::BesideOptions beside_options(const RowOptions& options) {
  measure::BesideOptions beside;
  beside.models = options.models;
  beside.seconds = options.full ? 4 : 2;
  return beside;
}

Status measure_homing(measure::Neighbourhood& around, measure::Scores& scores) {
  TESSERA_ASSIGN_OR_RETURN(const measure::Beside served, around.homing(Behind::kOneBatch));
  TESSERA_ASSIGN_OR_RETURN(const measure::Beside bare, around.homing(Behind::kNothing));
  std::fprintf(stderr, "homing: %s\nhoming, nothing committed behind: %s\n", measure::to_json(served).c_str(),
               measure::to_json(bare).c_str());
  measure::score_homing(served, bare, scores);
  return ok_status();
}

Status measure_loading(measure::Neighbourhood& around, bool full, measure::Scores& scores) {
  const std::vector<std::string> models =
      full ? std::vector<std::string>{"resnet50", "vgg19", "mobilenet_v2"} : std::vector<std::string>{"resnet50"};
  for (const std::string& model : models) {
    TESSERA_ASSIGN_OR_RETURN(const measure::Beside served, around.loading(model, Behind::kOneBatch));
    TESSERA_ASSIGN_OR_RETURN(const measure::Beside bare, around.loading(model, Behind::kNothing));
    std::fprintf(stderr, "loading %s: %s\nloading %s, nothing committed behind: %s\n", model.c_str(),
                 measure::to_json(served).c_str(), model.c_str(), measure::to_json(bare).c_str());
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
      TESSERA_ASSIGN_OR_RETURN(const measure::Beside slices, around.critical(Sharing::kSlices, mix));
      TESSERA_ASSIGN_OR_RETURN(const measure::Beside streams, around.critical(Sharing::kStreams, mix));
      const std::string name = mix.critical + " beside " + mix.greedy;
      std::fprintf(stderr, "critical in slices, %s: %s\ncritical as streams, %s: %s\n", name.c_str(),
                   measure::to_json(slices).c_str(), name.c_str(), measure::to_json(streams).c_str());
      measure::score_critical(bound, name, slices, streams, scores);
    }
    if (!full) {
      break;
    }
  }
  return ok_status();
}

Status measure_fallback(measure::Neighbourhood& around, measure::Scores& scores) {
  using Against = measure::Neighbourhood::Against;
  TESSERA_ASSIGN_OR_RETURN(const measure::Beside alone, around.uncaptured("resnet50", Against::kAlone));
  TESSERA_ASSIGN_OR_RETURN(const measure::Beside captured, around.uncaptured("resnet50", Against::kCaptured));
  std::fprintf(stderr, "uncaptured against none: %s\nuncaptured against captured: %s\n",
               measure::to_json(alone).c_str(), measure::to_json(captured).c_str());
  measure::score_fallback(alone, captured, scores);
  return ok_status();
}

measure::SharingOptions sharing_options(const RowOptions& options) {
  measure::SharingOptions sharing;
  sharing.models = options.models;
  if (!options.full) {
    sharing.batches = {1, 8};
    sharing.rounds = 1;
    sharing.seconds = 1;
    sharing.warm_seconds = 0.5;
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
    scores.add("first_answer", result.ratio(), model);
  }
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
  const auto replicating = measure::replicating(first, second, beside_options(options), models);
  if (replicating.ok()) {
    std::fprintf(stderr, "replicas, seen from where they come: %s\nand where they go: %s\n",
                 measure::to_json(replicating->here).c_str(), measure::to_json(replicating->there).c_str());
    measure::score_replicating(*replicating, scores);
  } else if (replicating.error().code() == ErrorCode::kUnsupported) {  // too few slices
    scores.not_measured("pair_replica_p99", replicating.error().message());
  } else {
    return replicating.error();
  }
  const auto beside = measure::loading_elsewhere(first, second, beside_options(options), models);
  if (beside.ok()) {
    std::fprintf(stderr, "loading on the other device: %s\n", measure::to_json(*beside).c_str());
    measure::score_pair_loading(*beside, scores);
  } else if (beside.error().code() == ErrorCode::kUnsupported) {  // too few slices
    scores.not_measured("pair_loading_p99", beside.error().message());
  } else {
    return beside.error();
  }
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

// The rows of a part begin with its name, but for one.
void leave_out(std::string_view part, const std::string& cause, measure::Scores& scores) {
  for (const measure::Row& row : measure::rows()) {
    if (row.elsewhere.empty() && (row.id.starts_with(part) || (part == "sharing" && row.id.starts_with("share_")))) {
      scores.not_measured(row.id, cause);
    }
  }
}

}  // namespace

const std::vector<std::string>& RowOptions::known() {
  static const std::vector<std::string> kParts{"homed", "homing",   "loading", "critical",
                                               "first", "fallback", "sharing", "pair"};
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
    } else if (part == "pair") {
      around.reset();
      done = measure_pair(devices, options, scores);
    } else {
      done = with_neighbours([&](measure::Neighbourhood& those) {
        return part == "homing"     ? measure_homing(those, scores)
               : part == "loading"  ? measure_loading(those, options.full, scores)
               : part == "fallback" ? measure_fallback(those, scores)
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
