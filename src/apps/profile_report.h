// What `tessera profile` measured, as people and programs read it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "measure/grid.h"
#include "sched/efficacy.h"

namespace tessera::apps {

// Of one model: each point's efficacy, and the places of note among them.
struct Efficacies {
  std::vector<double> of;                   // by point
  std::optional<std::size_t> knee;          // of largest efficacy within the limits
  std::vector<std::size_t> best_of_rows{};  // of each batch size
};
Efficacies efficacies(const measure::Grid& grid, const sched::KneeLimits& limits);

// What is the same for all models of a run.
struct ProfileInfo {
  std::string device;  // described
  std::string command;
  double rows_per_second = 0;  // 0: not said
};
sched::KneeLimits limits_of(const measure::Grid& grid, const ProfileInfo& info);

std::string profile_table(const measure::Grid& grid, const ProfileInfo& info);
std::string profile_csv(const std::vector<measure::Grid>& grids, const ProfileInfo& info);  // with its header
std::string profile_html(const std::vector<measure::Grid>& grids, const ProfileInfo& info);
// "resnet: 8 rows on 2 processors; ...": the knees.
std::string knees(const std::vector<measure::Grid>& grids, const ProfileInfo& info);

}  // namespace tessera::apps
