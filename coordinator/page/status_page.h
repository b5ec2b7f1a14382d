#ifndef LORY_COORDINATOR_PAGE_STATUS_PAGE_H_
#define LORY_COORDINATOR_PAGE_STATUS_PAGE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/page/html.h"
#include "lory/v1/job.pb.h"
#include "lory/v1/worker.pb.h"

// The status page: jobs, workers and expert utilisation at a glance. Pure; one
// page without scripts or files from elsewhere, that reloads itself.
namespace lory::coordinator::page {

struct StatusPageData {
  absl::Time now;                   // calendar time
  std::vector<lory::v1::Job> jobs;  // newest first
  std::vector<lory::v1::Worker> workers;
  // Newest events of each job, oldest first, by job name.
  std::map<std::string, std::vector<lory::v1::JobEvent>> events;
  // Loss by step of each job, by job name.
  std::map<std::string, Points> losses;
};

std::string RenderStatusPage(const StatusPageData& data);

}  // namespace lory::coordinator::page

#endif  // LORY_COORDINATOR_PAGE_STATUS_PAGE_H_
