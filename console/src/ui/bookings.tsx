// bookings.tsx - what machines are kept for whom, from when until when
import { call } from '../client';
import { moment } from '../format';
import { useChanges, useLoad } from '../load';

/** Nothing where nothing is booked. Looks again every few seconds. */
export function Bookings({ project, ofAll }: { project: string; ofAll: boolean }) {
  const { data, reload } = useLoad(() => call('booking.list', { path: { project }, query: { all: ofAll } }), `${project} ${ofAll}`);
  useChanges(project, reload, 5000);
  if (!data?.items.length) return null;
  return (
    <div class="card bookings" role="region" aria-label="Machines that are booked" tabIndex={0}><table class="plain-table" aria-label="Bookings">
      <thead><tr><th>Booked</th><th>For</th><th>Machines</th><th>From</th><th>Until</th></tr></thead>
      <tbody>{data.items.map((booking) => (
        <tr key={booking.id}>
          <td>{booking.name}{booking.state === 'active' && <span class="faint"> now</span>}</td>
          <td>{booking.project_name}</td>
          <td>{booking.on}{booking.lacks && <span class="lacks"> lacks {booking.lacks}</span>}</td>
          <td>{moment(booking.from)}</td><td>{moment(booking.until)}</td>
        </tr>
      ))}</tbody>
    </table></div>
  );
}
