// What two devices notice of each other: of loads on the other one, and of a model that it has already.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "measure/beside.h"
#include "measure/sharing.h"

namespace tessera::measure {

// The neighbours of `options`, each in a slice of its own on `quiet`, alone and while `models` are loaded on `busy` and
// leave again, one after the other, for as long. On the loader thread of `quiet`; `busy` gets one for the time.
// `took_ms`: the median load. Error: that of Neighbourhood::make, or of a load.
Result<Beside> loading_elsewhere(const Part& quiet, const Part& busy, const BesideOptions& options,
                                 const std::vector<std::string>& models);

// The neighbours of `options` on both devices, alone and while replicas of `models`, which `here` holds, are loaded on
// `there` and leave again, one after the other, for as long: their weights come from `here` where the devices reach
// each other's memory. On the loader thread of `here`; `there` gets one for the time. `took_ms`: the median load, of
// both.
struct BesideBoth {
  Beside here;
  Beside there;
};
Result<BesideBoth> replicating(const Part& here, const Part& there, const BesideOptions& options,
                               const std::vector<std::string>& models);

// A model's first answer from nothing, with one bucket of one row; milliseconds.
struct FirstSteps {
  double load = 0;   // optimised, weights on the device
  double ready = 0;  // the session, its first runs, its plan, homed in the whole device
  double run = 0;
  double total() const { return load + ready + run; }
};

struct Replica {
  std::string model;
  std::vector<FirstSteps> first;    // one a round: on `here`, as nobody has the model
  std::vector<FirstSteps> replica;  // on `there`, as `here` has it
  double ratio() const;             // of the medians of totals
};
std::string to_json(const Replica& result);

// After one of each that does not count: it brings what the process loads once. On the loader thread of `here`.
Result<Replica> first_of_replica(const Part& here, const Part& there, const std::filesystem::path& repository,
                                 const std::string& model, int rounds);

}  // namespace tessera::measure
