// What lies between the batches of several models that always have some waiting, and how soon their ends are known.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "engine/engine.h"
#include "measure/gaps_between.h"

namespace tessera::measure {

struct ReallocationOptions {
  std::filesystem::path models;  // a repository; a model that is named twice is loaded twice
  std::vector<std::string> mix{"resnet50", "mobilenet_v2", "resnet50", "vgg19"};
  std::vector<std::int64_t> batches{1, 8, 16};
  // "tessera": the server's policy; without objectives it holds nothing back, and its guard has nobody to guard.
  // "changing": sizes change from batch to batch, and each atom has one committed whenever there is one
  // (changing_policy.h). "atoms": the same in single atoms, as many batches at a time as there are lanes.
  std::vector<std::string> arms{"changing", "tessera", "atoms"};
  double seconds = 10;  // measured, for each arm, size and round
  double warm_seconds = 1;
  int rounds = 3;
  int lanes = 4;    // of a model
  int waiting = 2;  // requests of a tenant beyond those that its lanes hold
};

struct ReallocationRound {
  GapsBetween gaps;
  std::size_t launches = 0;    // with those before and after the time that is looked at
  std::size_t lost = 0;        // of their numbers
  std::size_t unanswered = 0;  // launches more than answers, which every one has to give
  double clock_round_trip_us = 0;
  double clock_drift_us_per_s = 0;
};

struct ReallocationCell {
  std::string arm;
  std::int64_t rows = 0;  // of a batch
  std::vector<ReallocationRound> rounds;
};

struct Reallocation {
  std::string command;
  std::string device;
  std::string engine;
  std::vector<std::string> tenants;
  std::uint16_t atoms = 0;
  double seconds = 0;
  int lanes = 0;
  bool by_card = false;  // else by what the device reports on the host's clock
  std::vector<ReallocationCell> cells;
};

struct ReallocationSubject {
  std::string kind;         // "host" or "cuda", as model::ConfigDefaults knows it
  std::string description;  // for reports
  device::Device& device;
  engine::Engine& engine;
};

// `after_cell`: what there is so far, after each arm and size of each round. Error: the first that came.
Result<Reallocation> reallocate(const ReallocationSubject& subject, const ReallocationOptions& options,
                                const std::string& command,
                                const std::function<void(const Reallocation&)>& after_cell = {});

class Scores;  // rows.h
// Of the arms "changing" and "tessera" what lies between, of "atoms" how soon ends are known; medians over rounds.
void score(const Reallocation& result, Scores& scores);

std::string json(const Reallocation& result);
void print(const Reallocation& result);  // a table on standard output

}  // namespace tessera::measure
